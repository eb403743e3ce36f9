import Foundation
import LongzooMemory
import LongzooModel
import Testing

@testable import LongzooTraining
@testable import longzoo

/// Weights files of every kind of model: there and back, through both kinds of memory.
@Suite struct BlockFileTests {
  private let folder = TestFolder()
  private let ledger = MemoryLedger()

  private static let shapes: [ModelShape] =
    [machine]
    + Cell.all.filter { !$0.isWholeModel }.flatMap { cell in
      BlockKind.allCases.flatMap { block in
        [0, 5].flatMap { embedding in
          [1, 2].map { layers in
            ModelShape(
              vocabularySize: 7, hiddenSize: 6, layers: layers,
              heads: layers == 2 && !cell.isElementwise ? 2 : 1, cell: cell, block: block,
              embeddingSize: embedding)
          }
        }
      }
    }

  private static let machine: ModelShape = {
    var shape = ModelShape(vocabularySize: 7, hiddenSize: 6, cell: .dnc, embeddingSize: 5)
    (shape.memorySlots, shape.readHeads) = (4, 2)
    return shape
  }()

  /// Every parameter has a number of its own.
  private func parameters(_ shape: ModelShape) throws -> Parameters {
    let parameters = try Parameters(shape, ledger: ledger)
    for i in 0..<shape.parameterCount { parameters.values[i] = Float(i + 1) / 64 }
    return parameters
  }

  private func write(_ tensors: [TensorToWrite], cell: Cell, _ name: String) throws -> SafetensorsReader {
    var metadata = [WeightsFile.cellKey: cell.name]
    if cell.isWholeModel { metadata[WeightsFile.slotsKey] = "\(Self.machine.memorySlots)" }
    try SafetensorsWriter.write(
      to: folder(name), metadata: metadata, tensors: tensors,
      through: TransferBuffer(ledger: ledger))
    return try SafetensorsReader(path: folder(name))
  }

  private func read(_ file: SafetensorsReader, _ shape: ModelShape) throws -> Parameters {
    let parameters = try Parameters(shape, ledger: ledger)
    try WeightsFile.read(file, into: parameters, through: TransferBuffer(ledger: ledger))
    return parameters
  }

  private func packed(_ shape: ModelShape) throws -> PackedWeights {
    try PackedWeights(Layout(shape, kind: .rank1, exactReadout: true), ledger: ledger)
  }

  private func isSame(_ a: Parameters, _ b: Parameters) -> Bool {
    memcmp(a.values.pointer, b.values.pointer, 4 * a.values.count) == 0
  }

  private func isSame(_ a: PackedWeights, _ b: PackedWeights) -> Bool {
    memcmp(a.values.pointer, b.values.pointer, 4 * a.values.count) == 0
  }

  private func values(_ file: SafetensorsReader, _ name: String) throws -> [Float] {
    let entry = try #require(file[name])
    var values = [Float](repeating: 0, count: entry.elementCount)
    try values.withUnsafeMutableBufferPointer { try file.readFloats(entry, from: 0, into: $0) }
    return values
  }

  @Test(arguments: shapes) func aFileIsTheModel(shape: ModelShape) throws {
    let (parameters, pool) = (try parameters(shape), try ThreadPool(threads: 2))
    let buffer = try TransferBuffer(ledger: ledger)
    // What a checkpoint holds is every bit.
    let exact = try write(WeightsFile.tensors(parameters, isExact: true), cell: shape.cell, "exact")
    #expect(try WeightsFile.shape(of: exact) == shape)
    #expect(isSame(try read(exact, shape), parameters))
    // A model's file is the same function.
    let file = try write(WeightsFile.tensors(parameters), cell: shape.cell, "model")
    #expect(try WeightsFile.shape(of: file) == shape)
    let again = try read(file, shape)
    #expect(
      try SafetensorsWriter.digest(of: WeightsFile.tensors(again), through: buffer)
        == SafetensorsWriter.digest(of: WeightsFile.tensors(parameters), through: buffer))
    let (expected, found, direct) = (try packed(shape), try packed(shape), try packed(shape))
    expected.pack(parameters, on: pool)
    found.pack(again, on: pool)
    #expect(isSame(found, expected))
    for source in [exact, file] {
      try PackedWeightsFile.read(source, into: direct, through: buffer, on: pool)
      #expect(isSame(direct, expected))
    }
    // And what packed weights write is read as they are.
    let packedFile = try write(PackedWeightsFile.tensors(direct), cell: shape.cell, "packed")
    #expect(try WeightsFile.shape(of: packedFile) == shape)
    #expect(Set(packedFile.entries.map(\.name)) == Set(file.entries.map(\.name)))
    let twice = try packed(shape)
    try PackedWeightsFile.read(packedFile, into: twice, through: buffer, on: pool)
    #expect(isSame(twice, expected))
  }

  @Test func namesAndPlacesOfABlock() throws {
    let (v, h, e, d, g) = (7, 6, 5, 3, 3)
    let shape = ModelShape(
      vocabularySize: v, hiddenSize: h, layers: 2, heads: 2, cell: .gru, block: .residual, embeddingSize: e)
    let parameters = try parameters(shape)
    let file = try write(WeightsFile.tensors(parameters), cell: .gru, "file")
    let expected: [String: [Int]] = [
      "cell.weight_ih": [g * h, h], "cell.weight_hh": [g * h, d], "cell.bias_ih": [g * h],
      "cell.bias_hh": [g * h], "gate.weight": [h, h], "gate.bias": [h], "out.weight": [h, h], "out.bias": [h],
    ]
    for layer in 0..<2 {
      for (name, extents) in expected { #expect(file["blocks.\(layer).\(name)"]?.shape == extents) }
    }
    #expect(file["embedding.weight"]?.shape == [v, e])
    #expect(file["embedding_projection.weight"]?.shape == [h, e])
    #expect(file["embedding_projection.bias"]?.shape == [h])
    #expect(file.entries.count == 2 * expected.count + 5)

    let (table, bias) = (parameters.read(.table), parameters.read(.bias(0)))
    #expect(try values(file, "embedding.weight") == table.indices.map { table[$0] + bias[$0 % e] })
    #expect(try values(file, "embedding_projection.weight") == parameters.read(.kernel(1)))
    let stage = shape.stage(ofLayer: 1)
    let kernel = parameters.read(.kernel(stage))
    let (input, own) = (
      try values(file, "blocks.1.cell.weight_ih"), try values(file, "blocks.1.cell.weight_hh")
    )
    for (gate, unit) in [(0, 0), (1, 4), (2, 5)] {
      let (row, place) = (gate * h + unit, (g * unit + gate) * (h + d))
      #expect(Array(input[row * h..<row * h + h]) == Array(kernel[place..<place + h]))
      #expect(Array(own[row * d..<row * d + d]) == Array(kernel[place + h..<place + h + d]))
    }
    #expect(try values(file, "blocks.1.gate.weight") == parameters.read(.kernel(stage + 1)))
    #expect(try values(file, "blocks.1.out.bias") == parameters.read(.bias(stage + 2)))
    let late = try values(file, "blocks.1.cell.bias_hh")
    #expect(late == [Float](repeating: 0, count: 2 * h) + parameters.read(.scalars(stage)))
  }

  @Test func elementWiseLayersHaveNoMoreThanTheyNeed() throws {
    let shape = ModelShape(vocabularySize: 7, hiddenSize: 6, layers: 2, cell: .mingru)
    let file = try write(WeightsFile.tensors(parameters(shape)), cell: .mingru, "file")
    let shapes = Dictionary(uniqueKeysWithValues: file.entries.map { ($0.name, $0.shape) })
    #expect(
      shapes == [
        "rnn.weight_ih_l0": [12, 7], "rnn.bias_ih_l0": [12], "rnn.weight_ih_l1": [12, 6],
        "rnn.bias_ih_l1": [12], "decoder.weight": [7, 6], "decoder.bias": [7],
      ])
  }

  /// What a file of two blocks of mingru becomes by a change of its list of tensors.
  private static let changes: [(mention: String, remove: String?, add: (String, [Int])?)] = [
    ("embedding.weight", "embedding.weight", nil),
    ("embedding.weight", "embedding.weight", ("embedding.weight", [6, 5])),
    ("embedding.weight", "embedding.weight", ("embedding.weight", [7])),
    ("embedding.more", nil, ("embedding.more", [3])),
    ("blocks.0.gate.bias", "blocks.0.gate.bias", nil),
    ("blocks.1.out.weight", "blocks.1.out.weight", ("blocks.1.out.weight", [6, 7])),
    ("encoder.weight", nil, ("encoder.weight", [7, 6])),
    ("blocks.1.cell.bias_hh", nil, ("blocks.1.cell.bias_hh", [12])),
    ("blocks.0.cell.weight_hh", nil, ("blocks.0.cell.weight_hh", [12, 6])),
    ("blocks.3.cell.weight_ih", nil, ("blocks.3.cell.weight_ih", [12, 6])),
    ("rnn.weight_ih_l0", nil, ("rnn.weight_ih_l0", [12, 6])),
    ("embedding.bias", nil, ("embedding.bias", [6])),
  ]

  @Test(arguments: changes.indices) func filesOfNoSuchModelAreRefused(index: Int) throws {
    let (mention, remove, add) = Self.changes[index]
    let shape = ModelShape(
      vocabularySize: 7, hiddenSize: 6, layers: 2, cell: .mingru, block: .residual, embeddingSize: 5)
    var tensors = WeightsFile.tensors(try parameters(shape)).filter { $0.name != remove }
    if let add { tensors.append(TensorToWrite(name: add.0, dtype: .f32, shape: add.1) { _, _ in }) }
    let file = try write(tensors, cell: .mingru, "file")
    let errors = [
      failure { _ = try read(file, WeightsFile.shape(of: file)) },
      failure {
        try PackedWeightsFile.read(
          file, into: packed(WeightsFile.shape(of: file)), through: TransferBuffer(ledger: ledger),
          on: ThreadPool(threads: 1))
      },
    ]
    for error in errors {
      let text = error?.message ?? "nothing"
      #expect(error?.exitCode == 65 && text.contains(file.path), "\(text)")
      #expect(text.contains(mention), "\(text)")
    }
  }
}
