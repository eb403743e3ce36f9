import LongzooMemory
import Testing

@testable import LongzooStream

@Suite struct HeldOutTests {
  let folder = Folder()

  func read(_ reader: HeldOutReader, by count: Int) throws -> [UInt32] {
    var out: [UInt32] = []
    var memory = [UInt32](repeating: 0, count: count)
    while true {
      var span = memory.mutableSpan
      let got = try reader.next(into: &span)
      if got == 0 { return out }
      out += memory[..<got]
    }
  }

  @Test(arguments: [1, 4], Storage.allCases)
  func splitIsExact(streams: Int, storage: Storage) throws {
    for type in TokenType.allCases {
      let tokens = makeTokens(2003, vocabulary: type == .u8 ? 256 : 5000)
      let path = folder.write(storage.store(tokens.bytes(type)), "data\(storage.suffix)")
      let other = folder.write(tokens.bytes(type), "second.bin")
      let all = tokens + tokens
      var configuration = StreamConfiguration([path, other], type, streams: streams)
      for fraction in [0.0006, 0.1, 0.37, 0.6] {
        configuration.holdoutFraction = fraction
        let held = Int(fraction * 4006)
        let feed = try TokenFeed(configuration, ledger: MemoryLedger())
        let region = Array(all[..<(4006 - held)])
        #expect(feed.trainingTokens == region.count)
        #expect(feed.totalTokens == 4006)
        let read = try feed.collect(4100)
        for stream in 0..<streams {
          #expect(read[stream] == expected(region, stream: stream, of: streams, pairs: 4100))
        }
        for total in [nil, feed.totalTokens] {
          let reader = try HeldOutReader(configuration, totalTokens: total, ledger: MemoryLedger())
          #expect(reader.tokens == held)
          #expect(try self.read(reader, by: 57) == Array(all[(4006 - held)...]))
          reader.rewind()
          #expect(try self.read(reader, by: 10_000) == Array(all[(4006 - held)...]))
        }
      }
    }
  }

  @Test func wholeFiles() throws {
    let tokens = makeTokens(900)
    for storage in Storage.allCases {
      let path = folder.write(storage.store(tokens.bytes(.u8)), "val\(storage.suffix)")
      var configuration = StreamConfiguration([path])
      let reader = try HeldOutReader(configuration, ledger: MemoryLedger())
      #expect(try read(reader, by: 100) == tokens)
      reader.rewind()
      #expect(try read(reader, by: 33) == tokens)
      configuration.holdoutFraction = 1
      #expect(try read(HeldOutReader(configuration, ledger: MemoryLedger()), by: 901) == tokens)
      #expect(failure(configuration)?.kind == .badData)
    }
  }

  @Test func tooLittleIsRefused() {
    var configuration = StreamConfiguration([folder.write([1, 2, 3, 4, 5], "five")])
    configuration.holdoutFraction = 0.2
    #expect(failure(configuration)?.kind == .badData)
    #expect(throws: StreamError.self) { try HeldOutReader(configuration, ledger: MemoryLedger()) }
    configuration.holdoutFraction = 0.8
    #expect(failure(configuration)?.kind == .badData)
    configuration.holdoutFraction = 0.6
    #expect(failure(configuration) == nil)
    let pipe = StreamConfiguration(["-"])
    #expect(throws: StreamError.self) { try HeldOutReader(pipe, ledger: MemoryLedger()) }
  }

  @Test func errorsAreThrownAfterTheTokensBefore() throws {
    let tokens = makeTokens(500)
    let reader = try HeldOutReader(
      StreamConfiguration([folder.write(zstdFrame(tokens.bytes(.u8)) + [1, 2], "bad.zst")]),
      ledger: MemoryLedger())
    var memory = [UInt32](repeating: 0, count: 600)
    var span = memory.mutableSpan
    #expect(try reader.next(into: &span) == 500)
    for _ in 0..<2 {
      let error = #expect(throws: StreamError.self) {
        var span = memory.mutableSpan
        return try reader.next(into: &span)
      }
      #expect(error?.tokenIndex == 500)
    }
  }
}
