import Glibc
import LongzooMemory
import Testing

@testable import LongzooStream

/// What adding a container takes: a value, by which every reader finds the tokens of a file.
@Suite struct ContainerTests {
  /// A mark, the type's width, the bytes of tokens, and then these; whatever follows is none of them.
  private static let boxed = Container(name: "boxed", headBytes: 9) { head in
    guard head.count >= 9, head[..<4].elementsEqual("BOXD".utf8) else { return nil }
    let type = TokenType.allCases.first { $0.width == Int(head[4]) }
    return Payload(start: 9, end: 9 + Int(head.littleEndian(4, at: 5)), tokenType: type)
  }

  private func box(_ bytes: [UInt8], width: Int = 2, trailer: Int = 5) -> [UInt8] {
    Array("BOXD".utf8) + [UInt8(width)] + little(bytes.count, 4) + bytes
      + [UInt8](repeating: 0xEE, count: trailer)
  }

  private func configuration(_ paths: [String], streams: Int = 1) -> StreamConfiguration {
    var configuration = StreamConfiguration(paths, .u16, streams: streams)
    configuration.containers = [Self.boxed, .raw]
    return configuration
  }

  private let tokens = makeTokens(5000, vocabulary: 3000, seed: 3)

  /// The same tokens over three files: plain, packed with unknown sizes, and packed in small frames; the last is bare.
  private func files(_ folder: Folder) -> [String] {
    let parts = [tokens[..<1201], tokens[1201..<2500], tokens[2500..<4000], tokens[4000...]].map {
      Array($0).bytes(.u16)
    }
    return [
      folder.write(box(parts[0]), "a"),
      folder.write(zstdFrame(box(parts[1], trailer: 0), ZstdOptions(contentSize: false)), "b.zst"),
      folder.write(split(box(parts[2]), every: 700).flatMap { zstdFrame($0) }, "c.zst"),
      folder.write(parts[3], "d"),
    ]
  }

  @Test(arguments: [1, 3]) func everyReaderFindsThePayload(streams: Int) throws {
    let folder = Folder()
    var data = configuration(files(folder), streams: streams)
    for skip in [0, 7, 1300] {
      data.skipTokens = skip
      let region = Array(tokens[skip...])
      let rows = try TokenFeed(data, ledger: MemoryLedger()).collect(7000)
      for stream in 0..<streams {
        #expect(rows[stream] == expected(region, stream: stream, of: streams, pairs: 7000), "skip \(skip)")
      }
    }
  }

  @Test(arguments: [1, 3]) func aResumeGoesOnExactlyThere(streams: Int) throws {
    let folder = Folder()
    let data = configuration(files(folder), streams: streams)
    for pairs in [1, 1199, 1202, 2600, 4100, 5100] {
      let feed = try TokenFeed(data, ledger: MemoryLedger())
      _ = try feed.collect(pairs)
      let resumed = try TokenFeed(data, resume: feed.position, ledger: MemoryLedger())
      let rows = try resumed.collect(500)
      for stream in 0..<streams {
        #expect(
          rows[stream] == expected(tokens, stream: stream, of: streams, pairs: 500, from: pairs), "\(pairs)")
      }
    }
  }

  @Test func countsAreThoseOfTokens() throws {
    let folder = Folder()
    let paths = files(folder)
    var data = configuration(paths)
    data.holdoutFraction = 0.5
    let feed = try TokenFeed(data, ledger: MemoryLedger())
    #expect(feed.totalTokens == 5000 && feed.trainingTokens == 2500)
    let reader = try HeldOutReader(data, ledger: MemoryLedger())
    var read = [UInt32](repeating: 0, count: 2600)
    var span = read.mutableSpan
    #expect(try reader.next(into: &span) == 2500)
    #expect(Array(read[..<2500]) == Array(tokens[2500...]))
    #expect(try DataOutline(configuration([paths[0], paths[3]]))?.trainingTokens == 2201)
    #expect(try DataOutline(configuration(paths))?.trainingTokens == nil)
  }

  @Test(arguments: [[4096], [1], [13, 2]]) func aPipeIsReadToTheEndOfItsPayload(pieces: [Int]) throws {
    for stored in [box(tokens.bytes(.u16)), zstdFrame(box(tokens.bytes(.u16)))] {
      let writer = PipeWriter(stored, pieces: pieces)
      defer { close(writer.readEnd) }
      var data = configuration(["-"])
      data.inputDescriptor = writer.readEnd
      #expect(try TokenFeed(data, ledger: MemoryLedger()).collect(10_000) == [tokens])
    }
  }

  @Test(arguments: [1, 3]) func whatDoesNotFitIsRefused(streams: Int) {
    let folder = Folder()
    let bytes = tokens.bytes(.u16)
    func text(_ stored: [UInt8], _ name: String = "a") -> String {
      failure(configuration([folder.write(stored, name)], streams: streams), pairs: 9000)?.description ?? ""
    }
    for pack in [{ $0 }, { zstdFrame($0) }] as [([UInt8]) -> [UInt8]] {
      #expect(text(pack(box(bytes, width: 4))).contains("set tokenType u32"))
      #expect(
        text(pack(Array(box(bytes, trailer: 0).dropLast(10)))).contains("before the last of its tokens"))
      #expect(text(pack(box(Array(bytes.dropLast())))).contains("no whole"))
    }
    // Damage after the payload is found all the same.
    var damaged = zstdFrame(box(bytes))
    damaged[damaged.count - 1] ^= 1
    #expect(text(damaged).contains("checksum"))
  }

  @Test func rawReadsTheHeadToo() throws {
    let folder = Folder()
    let stored = box(Array(tokens[..<100]).bytes(.u16), trailer: 1)
    var data = configuration([folder.write(stored, "a")])
    (data.format, data.vocabularySize) = (.raw, 1 << 16)
    #expect(try TokenFeed(data, ledger: MemoryLedger()).totalTokens == 105)
  }
}
