import Foundation
import LongzooMemory
import Testing

@testable import LongzooTraining
@testable import longzoo

/// Bytes that have changed in a checkpoint or a model are found, and files that say nothing of their bytes are read as ever.
@Suite struct FileChecksumTests {
  private let runs = Runs("--max-steps", "4", "--val-fraction", "0.2")

  private func hex(_ text: String) -> String {
    Array(text.utf8).withUnsafeBytes { String(Checksum.of($0), radix: 16) }
  }

  /// Those of the reference.
  @Test func checksumsAreXXH64() {
    #expect(hex("") == "ef46db3751d8e999")
    #expect(hex("a") == "d24ec4f1a98c6e5b")
    #expect(hex("abc") == "44bc2cf5ad770999")
    #expect(hex("Nobody inspects the spammish repetition") == "fbcea83c8a378bf1")
  }

  @Test func piecesMakeTheWhole() {
    let bytes = Sample.tokens(1000)
    let whole = bytes.withUnsafeBytes { Checksum.of($0) }
    for step in [1, 3, 31, 32, 33, 64, 100, 999] {
      var checksum = Checksum()
      for start in stride(from: 0, to: bytes.count, by: step) {
        bytes[start..<min(bytes.count, start + step)].withUnsafeBytes { checksum.add($0) }
      }
      #expect(checksum.value == whole, "\(step)")
    }
  }

  /// Flips a bit in the middle of a tensor.
  private func damage(_ name: String, tensor: Safetensors.Entry, _ bytes: [UInt8]) {
    var bytes = bytes
    let header = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    bytes[8 + header + (tensor.range.lowerBound + tensor.range.upperBound) / 2] ^= 0x10
    runs.folder.put(name, bytes)
  }

  @Test func aChangedTensorIsFound() throws {
    let data = runs.folder.put("data", Sample.tokens(3000))
    try runs.train(data, out: "run")
    for (name, isCheckpoint) in [("checkpoint", true), ("model", false)] {
      let path = "run/\(name).safetensors"
      let bytes = runs.folder.bytes(path)
      let entries = try SafetensorsReader(path: runs.folder(path)).entries.filter { $0.byteCount > 0 }
      #expect(entries.count >= 6)
      for entry in entries {
        damage(path, tensor: entry, bytes)
        let failure = failure {
          if isCheckpoint {
            try runs.resume("run", "--max-steps", "5")
          } else {
            _ = try TrainedModel(at: runs.folder("run"), threads: 1)
          }
        }
        let message = failure?.message ?? ""
        #expect(failure?.exitCode == 65 && message.contains("\"\(entry.name)\""), "\(entry.name): \(message)")
        #expect(message.contains(path) && message.contains(FileChecksums.key))
      }
      runs.folder.put(path, bytes)
    }
    try runs.resume("run", "--max-steps", "5")
  }

  /// A digit of what a checkpoint says of its run is a change as well.
  @Test func aChangedTextIsFound() throws {
    let data = runs.folder.put("data", Sample.tokens(3000))
    try runs.train(data, out: "run")
    let path = runs.folder("run/checkpoint.safetensors")
    let text = String(decoding: runs.folder.bytes("run/checkpoint.safetensors"), as: Unicode.ASCII.self)
    let seed = try #require(text.range(of: "\\\"seed\\\":1337"))
    var bytes = runs.folder.bytes("run/checkpoint.safetensors")
    bytes[text.distance(from: text.startIndex, to: seed.upperBound) - 1] = UInt8(ascii: "8")
    runs.folder.put("run/checkpoint.safetensors", bytes)
    let failure = failure { _ = try SafetensorsReader(path: path) }
    #expect(failure?.exitCode == 65 && failure?.message.contains("longzoo.checkpoint") == true)
  }

  /// The sentence's way out: without the list of checksums a file is read as it is, as are those of older versions.
  @Test func withoutChecksumsAFileIsReadAsItIs() throws {
    let data = runs.folder.put("data", Sample.tokens(3000))
    try runs.train(data, out: "run")
    let bytes = runs.folder.bytes("run/checkpoint.safetensors")
    let older = try CheckpointText(bytes)
    runs.folder.put("run/checkpoint.safetensors", try older.file(older.state))
    let entry = try #require(
      try SafetensorsReader(path: runs.folder("run/checkpoint.safetensors"))["longzoo.average"])
    damage("run/checkpoint.safetensors", tensor: entry, try older.file(older.state))
    try runs.resume("run", "--max-steps", "5")
  }

  /// The best weights of a run are not taken on trust: the search for them begins anew.
  @Test func aDamagedModelIsNotGoneOnWith() throws {
    let data = runs.folder.put("data", Sample.tokens(3000))
    try runs.train(data, out: "run")
    let path = "run/model.safetensors"
    let entry = try #require(try SafetensorsReader(path: runs.folder(path))["decoder.weight"])
    damage(path, tensor: entry, runs.folder.bytes(path))
    try runs.resume("run", "--max-steps", "6", "--eval-interval", "1")
    _ = try TrainedModel(at: runs.folder("run"), threads: 1)
  }

  @Test func partsAreHeldTogether() throws {
    let folder = TestFolder()
    let floats = (0..<1000).map { Float($0) }
    try floats.withUnsafeBufferPointer { floats in
      try SafetensorsWriter.write(
        to: folder("a"), metadata: [:],
        tensors: [TensorToWrite(name: "t", shape: [1000], floats: floats)],
        through: TransferBuffer(ledger: MemoryLedger()))
    }
    var bytes = folder.bytes("a")
    bytes[bytes.count - 1] ^= 1
    folder.put("a", bytes)
    let reader = try SafetensorsReader(path: folder("a"))
    let entry = try #require(reader["t"])
    var part = [Float](repeating: 0, count: 300)
    func read(_ first: Int, _ count: Int) -> RunFailure? {
      failure {
        try part.withUnsafeMutableBufferPointer {
          try reader.readFloats(entry, from: first, into: $0.extracting(..<count))
        }
      }
    }
    // In order it is found at the end; a part alone is nobody's to judge.
    #expect(read(900, 100) == nil)
    for first in [0, 300, 600] { #expect(read(first, 300) == nil) }
    #expect(read(900, 100)?.exitCode == 65)
    #expect(failure { try reader.requireSound(through: TransferBuffer(ledger: MemoryLedger())) } != nil)
  }
}
