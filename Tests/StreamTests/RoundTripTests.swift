import LongzooMemory
import Testing

@testable import LongzooStream

/// The ways in which the same bytes can be stored.
enum Storage: String, CaseIterable, Sendable {
  case plain, zstdOne, zstdOneUnknownSize, zstdFrames, zstdSeekable, lz4One, lz4Frames

  var suffix: String {
    switch self {
    case .plain: ".bin"
    case .lz4One, .lz4Frames: ".lz4"
    default: ".zst"
    }
  }

  /// Frames are of odd sizes, so that tokens lie across their ends; empty and skippable ones are between them.
  func store(_ bytes: [UInt8]) -> [UInt8] {
    switch self {
    case .plain: bytes
    case .zstdOne: zstdFrame(bytes)
    case .zstdOneUnknownSize: zstdFrame(bytes, ZstdOptions(checksum: false, contentSize: false))
    case .zstdFrames:
      skippable(5)
        + split(bytes, every: 777).flatMap { zstdFrame($0) + zstdFrame([]) + skippable(0, nibble: 15) }
    case .zstdSeekable: seekable(split(bytes, every: 901))
    case .lz4One: lz4Frame(bytes, LZ4Options(blockChecksum: true))
    case .lz4Frames:
      skippable(300)
        + split(bytes, every: 777).flatMap { lz4Frame($0, LZ4Options(contentSize: true, linked: false)) }
        + lz4Frame([]) + skippable(3)
    }
  }
}

@Suite struct RoundTripTests {
  @Test(arguments: TokenType.allCases, Storage.allCases)
  func oneStreamWrapsAround(type: TokenType, storage: Storage) throws {
    let folder = Folder()
    let tokens = makeTokens(5003, vocabulary: type == .u8 ? 256 : 5000)
    let path = folder.write(storage.store(tokens.bytes(type)), "data\(storage.suffix)")
    let feed = try TokenFeed(StreamConfiguration([path], type), ledger: MemoryLedger())
    let read = try feed.collect(12_000, by: 61)
    #expect(read == [expected(tokens, stream: 0, of: 1, pairs: 12_000)])
    #expect(feed.trainingTokens == (storage == .plain ? 5003 : nil))
  }

  @Test(arguments: TokenType.allCases, Storage.allCases)
  func manyStreams(type: TokenType, storage: Storage) throws {
    let folder = Folder()
    let tokens = makeTokens(5003, vocabulary: type == .u8 ? 256 : 5000)
    let path = folder.write(storage.store(tokens.bytes(type)), "data\(storage.suffix)")
    var configuration = StreamConfiguration([path], type, streams: 7)
    configuration.skipTokens = 13
    configuration.scratchFolder = folder.path
    let feed = try TokenFeed(configuration, ledger: MemoryLedger())
    let region = Array(tokens[13...])
    #expect(feed.trainingTokens == region.count)
    #expect(feed.totalTokens == tokens.count)
    let read = try feed.collect(11_000, by: 64)
    for stream in 0..<7 {
      #expect(read[stream] == expected(region, stream: stream, of: 7, pairs: 11_000), "stream \(stream)")
    }
  }

  @Test(arguments: [1, 5])
  func severalFilesAreOneStream(streams: Int) throws {
    let folder = Folder()
    var tokens: [UInt32] = []
    let paths = Storage.allCases.enumerated().map { number, storage in
      let part = makeTokens(700 + 131 * number, vocabulary: 5000, seed: UInt64(number + 3))
      tokens += part
      return folder.write(storage.store(part.bytes(.u16)), "part\(number)\(storage.suffix)")
    }
    let feed = try TokenFeed(
      StreamConfiguration(paths, .u16, streams: streams), ledger: MemoryLedger())
    let read = try feed.collect(20_000, by: 63)
    for stream in 0..<streams {
      #expect(read[stream] == expected(tokens, stream: stream, of: streams, pairs: 20_000))
    }
  }

  @Test func longDataCrossesAllBuffers() throws {
    let folder = Folder()
    let tokens = makeTokens(700_001, vocabulary: 5000)
    for storage in [Storage.plain, .zstdOne, .lz4One] {
      let path = folder.write(storage.store(tokens.bytes(.u32)), "data\(storage.suffix)")
      for streams in [1, 3] {
        var configuration = StreamConfiguration([path], .u32, streams: streams, chunk: 200_000)
        configuration.scratchFolder = folder.path
        let feed = try TokenFeed(configuration, ledger: MemoryLedger())
        var memory = [UInt32](repeating: 0, count: streams * 200_001)
        for call in 0..<5 {
          var span = memory.mutableSpan
          #expect(try feed.next(200_000, into: &span) == 200_000)
          for stream in 0..<streams {
            let row = Array(memory[(stream * 200_001)..<((stream + 1) * 200_001)])
            let wanted = expected(tokens, stream: stream, of: streams, pairs: 200_000, from: call * 200_000)
            #expect(row == wanted, "\(storage) stream \(stream) call \(call)")
          }
        }
      }
    }
  }

  @Test func moreFramesThanTheIndexHolds() throws {
    let folder = Folder()
    let tokens = makeTokens(20_000)
    let small = split(tokens.bytes(.u8), every: 5)
    for bytes in [seekable(small), small.flatMap { zstdFrame($0) }] {
      let path = folder.write(bytes, "data.zst")
      let feed = try TokenFeed(StreamConfiguration([path], streams: 9), ledger: MemoryLedger())
      let read = try feed.collect(6_000)
      for stream in 0..<9 {
        #expect(read[stream] == expected(tokens, stream: stream, of: 9, pairs: 6_000))
      }
    }
  }

  @Test func moreStreamsThanTokens() throws {
    let folder = Folder()
    let path = folder.write([1, 2, 3], "data")
    let feed = try TokenFeed(StreamConfiguration([path], streams: 8), ledger: MemoryLedger())
    let read = try feed.collect(10, by: 4)
    for stream in 0..<8 {
      #expect(read[stream] == expected([1, 2, 3], stream: stream, of: 8, pairs: 10))
    }
  }

  @Test func formatsAreTold() throws {
    let folder = Folder()
    // The magics alone are two tokens each; without a valid header, and without the name, they are data.
    let lookalike: [UInt8] = [0x04, 0x22, 0x4D, 0x18, 1, 2, 3, 4, 5, 6, 7, 8]
    let path = folder.write(lookalike, "tokens.bin")
    #expect(readAll(StreamConfiguration([path]), pairs: 11)?[0] == lookalike.map(UInt32.init))
    let named = folder.write(lookalike, "tokens.lz4")
    #expect(readAll(StreamConfiguration([named]), pairs: 11) == nil)
    var none = StreamConfiguration([folder.write(zstdFrame([1, 2, 3]), "raw.zst")])
    none.compression = .none
    #expect(readAll(none, pairs: 3)?[0] == [0x28, 0xB5, 0x2F, 0xFD])
    // Nothing in the name: the magic tells.
    for frame in [zstdFrame([9, 8, 7]), lz4Frame([9, 8, 7]), skippable(2) + zstdFrame([9, 8, 7])] {
      let unnamed = folder.write(frame, "unnamed")
      #expect(readAll(StreamConfiguration([unnamed]), pairs: 2)?[0] == [9, 8, 7])
    }
    let legacy = folder.write([0x02, 0x21, 0x4C, 0x18, 1, 0, 0, 0, 0], "old.lz4")
    #expect(failure(StreamConfiguration([legacy]))?.description.contains("legacy") == true)
  }

  @Test func headerChecksum() {
    func hash(_ text: String) -> UInt32 {
      Array(text.utf8).withUnsafeBytes { shortXXH32($0) }
    }
    #expect(hash("") == 0x02CC_5D05)
    #expect(hash("a") == 0x550D_7456)
    #expect(hash("abc") == 0x32D1_53FF)
  }
}
