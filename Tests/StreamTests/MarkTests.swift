import LongzooMemory
import Testing

@testable import LongzooStream

/// The highest stored bit as a mark.
@Suite struct MarkTests {
  /// Ids below `vocabulary`, some with bit 31; and how they are stored.
  private func sample(_ type: TokenType, vocabulary: Int) -> (tokens: [UInt32], bytes: [UInt8]) {
    let tokens = makeTokens(5003, vocabulary: vocabulary).enumerated().map { index, id in
      id | (index % 3 == 0 ? 0x8000_0000 : 0)
    }
    let high = UInt32(1) << UInt32(8 * type.width - 1)
    return (tokens, tokens.map { $0 & 0x7fff_ffff | ($0 >> 31) * high }.bytes(type))
  }

  private func configuration(_ path: String, _ type: TokenType, streams: Int = 1) -> StreamConfiguration {
    var configuration = StreamConfiguration([path], type, streams: streams)
    configuration.targets = .marked
    configuration.vocabularySize = type == .u8 ? 128 : 5000
    return configuration
  }

  @Test(arguments: TokenType.allCases, [Storage.plain, .zstdFrames])
  func marksBecomeBit31(type: TokenType, storage: Storage) throws {
    let folder = Folder()
    let (tokens, bytes) = sample(type, vocabulary: type == .u8 ? 128 : 5000)
    let path = folder.write(storage.store(bytes), "data\(storage.suffix)")
    for streams in [1, 4] {
      let feed = try TokenFeed(configuration(path, type, streams: streams), ledger: MemoryLedger())
      let read = try feed.collect(3000, by: 61)
      for stream in 0..<streams {
        #expect(read[stream] == expected(tokens, stream: stream, of: streams, pairs: 3000))
      }
    }
    let reader = try HeldOutReader(configuration(path, type), ledger: MemoryLedger())
    var held = [UInt32](repeating: 0, count: 6000)
    var span = held.mutableSpan
    #expect(try reader.next(into: &span) == 5003)
    #expect(Array(held[..<5003]) == tokens)
  }

  @Test(arguments: TokenType.allCases)
  func anIdOutsideIsNamedWithoutItsMark(type: TokenType) throws {
    let folder = Folder()
    var (tokens, _) = sample(type, vocabulary: 50)
    tokens[1234] = 0x8000_0000 | 77
    let high = UInt32(1) << UInt32(8 * type.width - 1)
    let path = folder.write(tokens.map { $0 & 0x7fff_ffff | ($0 >> 31) * high }.bytes(type), "data")
    var configuration = configuration(path, type)
    configuration.vocabularySize = 77
    let error = #expect(throws: StreamError.self) {
      _ = try TokenFeed(configuration, ledger: MemoryLedger()).collect(3000, by: 61)
    }
    #expect(error?.tokenIndex == 1234)
    #expect(error?.description.contains("the id 77 is outside") == true)
  }

  @Test func aPipesIdentityIsThatOfItsBytes() {
    for type in TokenType.allCases {
      let (tokens, bytes) = sample(type, vocabulary: 100)
      var (stored, read) = (PipeDigest(type: type), PipeDigest(type: type))
      bytes.withUnsafeBytes { stored.add($0) }
      read.add(tokens, count: tokens.count)
      #expect(read.identity == stored.identity)
    }
  }
}
