import Foundation
import LongzooMemory
import Testing

@testable import LongzooTraining
@testable import longzoo

/// Weights that go from one run to the next by --init.
@Suite struct InitialWeightsTests {
  private func runs(_ more: String...) -> Runs {
    var runs = Runs("--max-steps", "30")
    runs.common += more
    runs.folder.put("data", Sample.tokens(3000))
    return runs
  }

  /// Every bit of them does, from a file and from a folder.
  @Test func weightsGoOn() throws {
    let runs = runs()
    let first = try runs.train("data", out: "first")
    for path in ["first/model.safetensors", "first"] {
      let still = try runs.train("--init", path, "--lr", "0", "--max-steps", "1", "data")
      #expect(still.digest == first.digest, "\(path)")
    }
    #expect(try runs.train("--init", "first", "data").digest != runs.train("data").digest)
    try runs.fail(65, ["--init", "data", "data"], mentions: ["data"])
    mkdir(runs.folder("empty"), 0o755)
    try runs.fail(66, ["--init", "empty", "data"], mentions: ["model.safetensors"])
  }

  @Test func otherSizesAreNamed() throws {
    let runs = runs()
    try runs.train("data", "--layers", "2", "--heads", "2", out: "first")
    for (options, mention) in [
      ([], "give --layers 2 --heads 2, not 1 and 1"),
      (["--layers", "2", "--heads", "2", "--hidden-size", "10"], "give --hidden-size 8, not 10"),
      (["--layers", "2", "--heads", "2", "--vocab-size", "65"], "give --vocab-size 64, not 65"),
      (["--layers", "3", "--heads", "2"], "give --layers 2, not 3"),
    ] {
      try runs.fail(
        65, ["--init", "first"] + options + ["data"], mentions: ["first/model.safetensors", mention])
    }
    #expect(!runs.folder.names.contains("failed"))
    try runs.train("data", "--layers", "2", "--heads", "2", "--init", "first")
  }

  /// Half-precision weights are the 32-bit ones that have the same values.
  @Test(arguments: [Safetensors.DType.f16, .bf16])
  func narrowFloats(dtype: Safetensors.DType) throws {
    let runs = runs()
    try runs.train("data", out: "first")
    let narrow = try Self.converted(runs.folder("first/model.safetensors"), to: dtype, runs.folder("narrow"))
    let wide = try Self.converted(narrow, to: .f32, runs.folder("wide"))
    for regime in ["shared", "inplace"] {
      let options = ["--lr", "0", "--max-steps", "1", "--regime", regime, "data"]
      let digests = try [narrow, wide].map { path in
        try runs.train(arguments: ["--init", path] + options).digest
      }
      #expect(Set(digests).count == 1, "\(regime)")
    }
    let losses = try [narrow, wide].map { path in
      try LongzooProcess.run(["eval", path, "data", "--json"], in: runs.folder).output
    }
    #expect(losses[0] == losses[1] && losses[0].contains("loss_nats"))
  }

  /// A copy of a file whose tensors are of another type.
  private static func converted(_ path: String, to dtype: Safetensors.DType, _ copy: String) throws -> String
  {
    let file = try SafetensorsReader(path: path)
    let tensors = try file.entries.map { entry in
      var values = [Float](repeating: 0, count: entry.elementCount)
      try values.withUnsafeMutableBufferPointer { try file.readFloats(entry, from: 0, into: $0) }
      return TensorToWrite(name: entry.name, dtype: dtype, shape: entry.shape) { offset, bytes in
        let first = offset / dtype.width
        for i in 0..<bytes.count / dtype.width {
          let value = values[first + i]
          switch dtype {
          case .f16: bytes.storeBytes(of: Float16(value).bitPattern, toByteOffset: 2 * i, as: UInt16.self)
          case .bf16:
            bytes.storeBytes(of: UInt16(value.bitPattern >> 16), toByteOffset: 2 * i, as: UInt16.self)
          default: bytes.storeBytes(of: value, toByteOffset: 4 * i, as: Float.self)
          }
        }
      }
    }
    try SafetensorsWriter.write(
      to: copy, metadata: file.metadata, tensors: tensors, through: TransferBuffer(ledger: MemoryLedger()))
    return copy
  }

  /// Parts, and values at the edges: subnormal numbers, infinities, the largest ones.
  @Test func partsAreWidenedExactly() throws {
    let folder = TestFolder()
    let halves: [UInt16] = [0, 1, 0x03ff, 0x0400, 0x3c00, 0x7bff, 0x7c00, 0x8001, 0xfbff, 0x3555, 0x0200]
    for dtype in [Safetensors.DType.f16, .bf16] {
      let tensor = halves.withUnsafeBytes { bytes in
        TensorToWrite(name: "t", dtype: dtype, shape: [halves.count], fill: Self.copying(Array(bytes)))
      }
      try SafetensorsWriter.write(
        to: folder("file"), metadata: [:], tensors: [tensor], through: TransferBuffer(ledger: MemoryLedger()))
      let file = try SafetensorsReader(path: folder("file"))
      let entry = try #require(file["t"])
      for (first, count) in [(0, halves.count), (3, 5), (10, 1), (4, 0)] {
        var floats = [Float](repeating: -1, count: count)
        try floats.withUnsafeMutableBufferPointer { try file.readFloats(entry, from: first, into: $0) }
        let expected = halves[first..<first + count].map { bits in
          dtype == .f16 ? Float(Float16(bitPattern: bits)) : Float(bitPattern: UInt32(bits) << 16)
        }
        #expect(floats.map(\.bitPattern) == expected.map(\.bitPattern), "\(dtype) \(first) \(count)")
      }
    }
  }

  private static func copying(_ bytes: [UInt8]) -> TensorToWrite.Fill {
    { offset, buffer in buffer.copyBytes(from: bytes[offset..<offset + buffer.count]) }
  }
}
