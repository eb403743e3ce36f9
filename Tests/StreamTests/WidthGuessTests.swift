import Foundation
import LongzooMemory
import Testing

@testable import LongzooStream

/// Warnings of data that is read in another width than it has.
@Suite struct WidthGuessTests {
  private func finding(_ bytes: [UInt8], as type: TokenType = .u8) -> WidthGuess.Finding? {
    var guess = WidthGuess()
    bytes.withUnsafeBytes { guess.add($0) }
    return guess.finding(readAs: type)
  }

  private func wide(_ ids: [UInt32], _ width: Int) -> [UInt8] { ids.flatMap { little(Int($0), width) } }

  /// Ids as a tokenizer of 50,257 has them: the small ones often.
  private let zipf: [UInt32] = {
    var state: UInt64 = 7
    return (0..<30_000).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt32(pow(50_257, Double(state >> 11) / Double(1 << 53))) - 1 + UInt32(state >> 60)
    }
  }()

  @Test func smallIDs() {
    let ids = makeTokens(5000, vocabulary: 200).map { $0 + 1 }
    let largest = Int(ids.max()!)
    #expect(finding(wide(ids, 2)) == .u16(largest: largest))
    #expect(finding(wide(ids, 4)) == .u32(largest: largest))
    #expect(finding(wide(ids, 8)) == .i64)
    #expect(finding(wide(ids, 4), as: .u16) == .u32(largest: largest))
    #expect(finding(wide(ids, 8), as: .u16) == .i64)
    #expect(finding(wide(ids, 8), as: .u32) == .i64)
    #expect(finding(ids.flatMap { [0, UInt8($0)] }) == .bigEndian)
    #expect(
      finding(
        "A text in sixteen bits, as Windows writes it. ".utf16.flatMap { little(Int($0), 2) } + wide(ids, 2))
        != nil)
  }

  @Test func largeIDs() {
    #expect(finding(wide(zipf, 2)) == .u16(largest: Int(zipf.max()!)))
    #expect(finding(wide(zipf, 4)) == .u32(largest: Int(zipf.prefix(WidthGuess.sampleBytes / 4).max()!)))
    #expect(finding(wide(zipf, 8)) == .i64)
    #expect(finding(wide(zipf, 4), as: .u16) != nil)
    let many = zipf.map { $0 * 2 + 1 }
    if case .u32 = finding(wide(many, 4)) {} else { Issue.record("ids of 17 bits are not seen") }
  }

  @Test func rightWidthsAreSilent() {
    #expect(finding(wide(zipf, 2), as: .u16) == nil)
    #expect(finding(wide(zipf, 4), as: .u32) == nil)
    #expect(finding(wide(makeTokens(5000, vocabulary: 200), 2), as: .u16) == nil)
    #expect(finding(makeTokens(50_000).bytes(.u8)) == nil)
  }

  @Test func noFalseAlarms() {
    let texts = [
      String(repeating: "The quick brown fox jumps over the lazy dog.\n", count: 2000),
      String(repeating: "12,34\n56,78\n", count: 6000), String(repeating: "ab", count: 40_000),
      String(repeating: "Слово за слово, и вот уже вечер.\n", count: 2000),
      String(repeating: "文字は二つの桁ではない。", count: 3000), String(repeating: "é", count: 40_000),
    ]
    for text in texts { #expect(finding(Array(text.utf8)) == nil, "\(text.prefix(20))") }
    for byte: UInt8 in [0, 1, 0xFF] { #expect(finding([UInt8](repeating: byte, count: 70_000)) == nil) }
    var generator = SystemRandomNumberGenerator()
    for count in [64, 1000, 20_000, 70_000] {
      for _ in 0..<5 {
        #expect(finding((0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }) == nil)
        // Nearly all zero, wherever the others are.
        #expect(
          finding((0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) < 250 ? 0 : 9 }) == nil)
      }
    }
    // Fields of four bytes, as in tables of measurements.
    let floats = (0..<20_000).flatMap { index in
      withUnsafeBytes(of: Float(index).squareRoot()) { Array($0) }
    }
    #expect(finding(floats) == nil)
  }

  @Test func whatIsSaid() throws {
    let folder = Folder()
    let bytes = makeTokens(5000, vocabulary: 200).bytes(.u16)
    for (name, stored) in [("a", bytes), ("a.zst", zstdFrame(bytes))] {
      for streams in [1, 2] {
        let warnings = Warnings()
        var configuration = StreamConfiguration([folder.write(stored, name)], streams: streams)
        configuration.notify = { warnings.add($0.description) }
        _ = try TokenFeed(configuration, ledger: MemoryLedger()).collect(100)
        #expect(warnings.all.count == 1)
        #expect(warnings.all.first?.contains("tokenType u16 vocabularySize 200") == true, "\(warnings.all)")
        #expect(warnings.all.first?.contains(configuration.paths[0]) == true)
        configuration.format = .raw
        _ = try TokenFeed(configuration, ledger: MemoryLedger()).collect(100)
        #expect(warnings.all.count == 1)
      }
    }
  }

  @Test func pipesAreLookedAtAsTheyCome() throws {
    let bytes = makeTokens(5000, vocabulary: 200).bytes(.u16)
    for stored in [bytes, zstdFrame(bytes)] {
      let warnings = Warnings()
      let writer = PipeWriter(stored, pieces: [3, 500])
      defer { close(writer.readEnd) }
      var configuration = StreamConfiguration(["-"])
      configuration.inputDescriptor = writer.readEnd
      configuration.notify = { warnings.add($0.description) }
      let read = try TokenFeed(configuration, ledger: MemoryLedger()).collect(20_000)
      #expect(read[0] == bytes.map(UInt32.init))
      #expect(warnings.all.count == 1 && warnings.all[0].contains("standard input"))
    }
  }
}

private final class Warnings: Sendable {
  private let list = Locked<[String]>([])
  var all: [String] { list.withLock { $0 } }
  func add(_ text: String) { list.withLock { $0.append(text) } }
}
