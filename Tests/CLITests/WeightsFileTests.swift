import Foundation
import LongzooMemory
import LongzooModel
import Testing

@testable import LongzooTraining
@testable import longzoo

/// Weights files that are not the model that they are taken for.
@Suite struct WeightsFileTests {
  private let folder = TestFolder()

  /// A file of tensors of ones, by name and shape.
  private func file(_ tensors: [(name: String, shape: [Int])]) throws -> SafetensorsReader {
    let path = folder("weights")
    try SafetensorsWriter.write(
      to: path, metadata: [:],
      tensors: tensors.map { tensor in
        TensorToWrite(name: tensor.name, dtype: .f32, shape: tensor.shape) { _, bytes in
          let out = bytes.assumingMemoryBound(to: Float.self)
          for i in 0..<out.count { out[i] = 1 }
        }
      }, through: TransferBuffer(ledger: MemoryLedger()))
    return try SafetensorsReader(path: path)
  }

  private func model(layers: Int) -> [(name: String, shape: [Int])] {
    let (h, v) = (3, 5)
    var tensors: [(name: String, shape: [Int])] = [("decoder.weight", [v, h]), ("decoder.bias", [v])]
    for layer in 0..<layers {
      tensors.append(("rnn.weight_ih_l\(layer)", [4 * h, layer == 0 ? v : h]))
      tensors.append(("rnn.weight_hh_l\(layer)", [4 * h, h]))
      for bias in ["bias_ih", "bias_hh"] { tensors.append(("rnn.\(bias)_l\(layer)", [4 * h])) }
    }
    return tensors
  }

  /// Into both kinds of memory.
  private func read(_ file: SafetensorsReader, layers: Int) -> [RunFailure?] {
    let shape = ModelShape(vocabularySize: 5, hiddenSize: 3, layers: layers)
    return [
      failure {
        try WeightsFile.read(
          file, into: Parameters(shape, ledger: MemoryLedger()),
          through: TransferBuffer(ledger: MemoryLedger()))
      },
      failure {
        let weights = try PackedWeights(
          Layout(shape, kind: .rank1, exactReadout: true), ledger: MemoryLedger())
        try PackedWeightsFile.read(
          file, into: weights, through: TransferBuffer(ledger: MemoryLedger()), on: try ThreadPool(threads: 1)
        )
      },
    ]
  }

  @Test func layersThatWouldBeLostAreRefused() throws {
    #expect(read(try file(model(layers: 2)), layers: 2) == [nil, nil])
    for error in read(try file(model(layers: 2)), layers: 1) {
      #expect(
        error?.exitCode == 65 && error?.message.contains("--layers 2") == true, "\(String(describing: error))"
      )
    }
    for error in read(try file(model(layers: 1)), layers: 2) { #expect(error?.exitCode == 65) }
  }

  @Test(arguments: [
    "rnn.weight_ih_l0_reverse", "rnn.weight_hr_l0", "rnn.weight_hh_l16", "decoder.0.weight", "norm.weight",
  ])
  func partsOfOtherModelsAreRefused(name: String) throws {
    for error in read(try file(model(layers: 1) + [(name, [2])]), layers: 1) {
      #expect(error?.exitCode == 65 && error?.message.contains(name) == true, "\(String(describing: error))")
    }
    // What a checkpoint has besides is none of the model.
    #expect(read(try file(model(layers: 1) + [("longzoo.average", [2])]), layers: 1) == [nil, nil])
  }

  private static let noModels: [(recurrent: [Int]?, decoder: [Int]?)] = [
    ([0, 1], [5, 0]), ([0, 0], [5, 0]), ([12, 0], [5, 3]), ([12, 3], [0, 3]), ([13, 3], [5, 3]),
    ([12, 2], [5, 3]),
    ([12], [5, 3]), ([12, 3, 1], [5, 3]), ([12, 3], [15]), ([12, 3], nil), (nil, [5, 3]), (nil, nil),
  ]

  @Test(arguments: noModels)
  func shapesOfNoModelAreRefused(recurrent: [Int]?, decoder: [Int]?) throws {
    var tensors: [(name: String, shape: [Int])] = []
    if let recurrent { tensors.append(("rnn.weight_hh_l0", recurrent)) }
    if let decoder { tensors.append(("decoder.weight", decoder)) }
    let file = try file(tensors)
    let error = failure { _ = try WeightsFile.shape(of: file) }
    #expect(error?.exitCode == 65 && error?.message.contains(file.path) == true, "\(tensors)")
  }

  @Test func modelsTooLargeAreRefusedByTheirHeader() throws {
    // A file of holes: nothing of it is ever read.
    for (rows, units) in [(1 << 31, 1), ((1 << 24) + 1, 1)] {
      let bytes: Int = 4 * rows * units + 16 * units * units
      func entry(_ name: String, _ rows: Int, from: Int, to: Int) -> String {
        "\"\(name)\":{\"dtype\":\"F32\",\"shape\":[\(rows),\(units)],\"data_offsets\":[\(from),\(to)]}"
      }
      let border = 4 * rows * units
      let header =
        "{" + entry("decoder.weight", rows, from: 0, to: border) + ","
        + entry("rnn.weight_hh_l0", 4 * units, from: border, to: bytes) + "}"
      let path = folder.put(
        "large",
        withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) } + Array(header.utf8))
      try #require(truncate(path, off_t(8 + header.utf8.count + bytes)) == 0)
      let error = failure { _ = try WeightsFile.shape(of: SafetensorsReader(path: path)) }
      #expect(
        error?.exitCode == 65 && error?.message.contains("larger than") == true,
        "\(String(describing: error))")
    }
  }

  @Test func anEncoderOfNoWidthIsRefused() throws {
    let tensors = model(layers: 1).filter { $0.name != "rnn.weight_ih_l0" }
    let empty = try file(tensors + [("encoder.weight", [5, 0]), ("rnn.weight_ih_l0", [12, 0])])
    for error in read(empty, layers: 1) { #expect(error?.exitCode == 65) }
    let sound = try file(tensors + [("encoder.weight", [5, 2]), ("rnn.weight_ih_l0", [12, 2])])
    #expect(read(sound, layers: 1) == [nil, nil])
  }

  /// As a person meets it.
  @Test func processesRefuseInWords() throws {
    let runs = Runs("--max-steps", "3")
    let data = runs.folder.put("data", Sample.tokens(2000))
    try runs.train("--layers", "2", data, out: "deep")
    try runs.fail(
      65, ["--init", "deep/model.safetensors", data], mentions: ["deep/model.safetensors", "--layers 2"])
    _ = try file([("rnn.weight_hh_l0", [0, 1]), ("decoder.weight", [5, 0])])
    try LongzooProcess.run(["eval", folder("weights"), data], in: runs.folder)
      .expectFailure(65, mentions: ["weights"], "no hidden units")
  }
}
