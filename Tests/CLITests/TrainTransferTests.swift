import Foundation
import LongzooMemory
import LongzooModel
import Testing

@testable import LongzooTraining
@testable import longzoo

/// Weights come from files in pieces, through memory that the ledger knows.
@Suite struct TrainTransferTests {
  /// The token table is most of the model, and would be seen if it were held twice.
  @Test func resumedAndInitializedRunsHoldNoTensorTwice() throws {
    let runs = Runs(
      "--vocab-size", "20000", "--dtype", "u16", "--hidden-size", "32", "--save-interval", "0",
      isProcess: true)
    let data = runs.folder.put("data", (0..<4000).flatMap { [UInt8($0 & 255), UInt8($0 >> 8 & 63)] })
    let new = try runs.train("--max-steps", "2", data, out: "run")
    let resumed = try runs.resume("run", "--max-steps", "4")
    let begun = try runs.train("--init", runs.folder("run/model.safetensors"), "--max-steps", "2", data)
    for run in [resumed, begun] {
      #expect(run.memory == new.memory)
      #expect(
        run.peakResident - new.peakResident < 2 << 20,
        "\(run.peakResident) bytes resident, \(new.peakResident) of a new run")
    }
  }

  /// Tensors as a file has them, some of them larger than the buffer.
  private func model(_ folder: TestFolder, shape: ModelShape, embedding: Int) throws -> (
    path: String, values: [String: [Float]]
  ) {
    var values: [String: [Float]] = [:]
    var tensors: [TensorToWrite] = []
    let (v, h) = (shape.vocabularySize, shape.hiddenSize)
    for (number, (name, extents)) in [
      ("rnn.bias_ih_l0", [4 * h]), ("rnn.bias_hh_l0", [4 * h]), ("rnn.weight_hh_l0", [4 * h, h]),
      ("rnn.weight_ih_l0", [4 * h, embedding == 0 ? v : embedding]), ("decoder.weight", [v, h]),
      ("decoder.bias", [v]),
      ("encoder.weight", [v, embedding]),
    ].enumerated() where embedding > 0 || name != "encoder.weight" {
      let all = (0..<extents.reduce(1, *)).map { Float(($0 * 7919 + number * 104_729) % 2003) / 1001 - 1 }
      values[name] = all
      tensors.append(
        TensorToWrite(name: name, dtype: .f32, shape: extents) { offset, bytes in
          all.withUnsafeBytes {
            bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + bytes.count]))
          }
        })
    }
    let path = folder("m\(embedding).safetensors")
    try SafetensorsWriter.write(
      to: path, metadata: [:], tensors: tensors, through: TransferBuffer(ledger: MemoryLedger()))
    return (path, values)
  }

  @Test(arguments: [
    (v: 300, h: 64, embedding: 0), (v: 300, h: 64, embedding: 600), (v: 3, h: 600, embedding: 0),
    (v: 270_000, h: 1, embedding: 0),
  ])
  func bothLayoutsTakeEveryElement(v: Int, h: Int, embedding: Int) throws {
    let folder = TestFolder()
    let shape = ModelShape(vocabularySize: v, hiddenSize: h)
    let (path, values) = try model(folder, shape: shape, embedding: embedding)
    let (ledger, pool) = (MemoryLedger(), try ThreadPool(threads: 2))
    let buffer = try TransferBuffer(ledger: ledger)
    let file = try SafetensorsReader(path: path)
    #expect(try WeightsFile.shape(of: file) == shape)
    let parameters = try Parameters(shape, ledger: ledger)
    try WeightsFile.read(file, into: parameters, through: buffer)
    let layout = Layout(shape, kind: .rank1, exactReadout: true)
    let (packed, direct) = (
      try PackedWeights(layout, ledger: ledger), try PackedWeights(layout, ledger: ledger)
    )
    packed.pack(parameters, on: pool)
    try PackedWeightsFile.read(file, into: direct, through: buffer, on: pool)
    let isSame = memcmp(packed.values.pointer, direct.values.pointer, 4 * packed.values.count) == 0
    #expect(isSame)
    // The table's last row, and the middle of the recurrent weights.
    let table = parameters.pointer(shape.slice(.table))
    let input = try #require(values["rnn.weight_ih_l0"])
    for row in [0, 1, 2 * h, 4 * h - 1] {
      let found = table[(v - 1) * 4 * h + WeightsFile.internalRow(row, shape.stage(0))]
      guard embedding > 0 else {
        #expect(found == input[row * v + v - 1])
        continue
      }
      var sum: Float = 0
      for k in 0..<embedding {
        sum += values["encoder.weight"]![(v - 1) * embedding + k] * input[row * embedding + k]
      }
      #expect(found == sum)
    }
    let bias = parameters.pointer(shape.slice(.bias(0)))
    for row in 0..<4 * h {
      let sum = values["rnn.bias_ih_l0"]![row] + values["rnn.bias_hh_l0"]![row]
      #expect(bias[WeightsFile.internalRow(row, shape.stage(0))] == sum)
    }
  }
}
