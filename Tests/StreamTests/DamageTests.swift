import Glibc
import LongzooMemory
import Testing

@testable import LongzooStream

@Suite struct DamageTests {
  let folder = Folder()
  let tokens = makeTokens(100, vocabulary: 200)

  /// Small checksummed files, with their names.
  var files: [(String, [UInt8])] {
    let bytes = tokens.bytes(.u8)
    return [
      ("a.zst", zstdFrame(bytes)), ("b.zst", zstdFrame(bytes, ZstdOptions(contentSize: false))),
      ("c.lz4", lz4Frame(bytes)),
      ("d.lz4", lz4Frame(bytes, LZ4Options(blockChecksum: true, contentSize: true))),
    ]
  }

  @Test(arguments: [1, 2])
  func everyTruncation(streams: Int) {
    for (name, bytes) in files {
      for length in 0..<bytes.count {
        let path = folder.write(Array(bytes[..<length]), name)
        let read = readAll(StreamConfiguration([path], streams: streams), pairs: 230)
        #expect(read == nil, "\(name) cut to \(length) of \(bytes.count) bytes")
      }
    }
  }

  @Test(arguments: [1, 2])
  func everyBitFlip(streams: Int) {
    for (name, bytes) in files {
      // Streams share the decoder with the single one: a sample of the bits is enough for them.
      for bit in stride(from: 0, to: 8 * bytes.count, by: streams == 1 ? 1 : 5) {
        var damaged = bytes
        damaged[bit / 8] ^= 1 << UInt8(bit % 8)
        let path = folder.write(damaged, name)
        if let read = readAll(StreamConfiguration([path], streams: streams), pairs: 230) {
          for stream in 0..<streams {
            let wanted = expected(tokens, stream: stream, of: streams, pairs: 230)
            #expect(read[stream] == wanted, "\(name) bit \(bit)")
          }
        }
      }
    }
  }

  @Test(arguments: [1, 2])
  func everyBitFlipOfASeekTable(streams: Int) {
    let bytes = seekable(split(tokens.bytes(.u8), every: 40))
    for bit in 0..<(8 * bytes.count) {
      var damaged = bytes
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      let path = folder.write(damaged, "s.zst")
      if let read = readAll(StreamConfiguration([path], streams: streams), pairs: 230) {
        for stream in 0..<streams {
          #expect(read[stream] == expected(tokens, stream: stream, of: streams, pairs: 230), "bit \(bit)")
        }
      }
    }
  }

  @Test func framesWithoutChecksumAreAccepted() {
    let bytes = tokens.bytes(.u8)
    for (name, data) in [
      ("a.zst", zstdFrame(bytes, ZstdOptions(checksum: false))),
      ("a.lz4", lz4Frame(bytes, LZ4Options(checksum: false))),
    ] {
      let path = folder.write(data, name)
      #expect(readAll(StreamConfiguration([path]), pairs: tokens.count - 1)?[0] == tokens)
    }
  }

  @Test func tokensBeforeAnErrorAreDelivered() throws {
    let bytes = makeTokens(1000).bytes(.u8)
    let good = zstdFrame(bytes)
    for tail in [
      [UInt8]("garbage".utf8), [0x28], [0x28, 0xB5, 0x2F, 0xFD, 0x24], Array(skippable(9).dropLast()),
    ] {
      let path = folder.write(good + tail, "tail.zst")
      let feed = try TokenFeed(StreamConfiguration([path]), ledger: MemoryLedger())
      #expect(try feed.collect(980, by: 49)[0] == bytes[...980].map(UInt32.init))
      #expect(try feed.rows(50).first?.count == 20)
      for _ in 0..<2 {
        let error = #expect(throws: StreamError.self) { try feed.rows(50) }
        #expect(error?.kind == .badData)
        #expect(error?.tokenIndex == 1000)
        #expect(error?.file == path)
        #expect((error?.compressedOffset ?? 0) >= good.count)
      }
    }
  }

  @Test func wrongChecksum() {
    var bytes = zstdFrame(tokens.bytes(.u8))
    bytes[bytes.count - 1] ^= 1
    let error = failure(StreamConfiguration([folder.write(bytes, "a.zst")]))
    #expect(error?.tokenIndex == tokens.count)
    #expect(error?.description.contains("checksum") == true)
    var block = lz4Frame(tokens.bytes(.u8))
    block[block.count - 1] ^= 1
    #expect(
      failure(StreamConfiguration([folder.write(block, "a.lz4")]))?.description.contains("checksum") == true)
  }

  @Test func theBlocksBeforeADamagedOneAreDelivered() throws {
    let tokens = makeTokens(500_000, vocabulary: 16, seed: 9)
    let bytes = tokens.bytes(.u8)
    let cut = zstdFrame(bytes)
    var damaged = lz4Frame(bytes, LZ4Options(blockChecksum: true))
    damaged[damaged.count * 3 / 4] ^= 0x55
    for (name, stored, block) in [
      ("a.zst", Array(cut[..<(cut.count * 3 / 4)]), 1 << 12), ("a.lz4", damaged, 1 << 16),
    ] {
      let path = folder.write(stored, name)
      let index = try #require(failure(StreamConfiguration([path]), pairs: 600_000)?.tokenIndex)
      #expect(index > 200_000 && index % block == 0)
      let feed = try TokenFeed(StreamConfiguration([path]), ledger: MemoryLedger())
      #expect(try feed.collect(index - 1)[0] == Array(tokens[..<index]))
      #expect(throws: StreamError.self) { try feed.rows(1) }

      let writer = PipeWriter(stored, pieces: [4099, 1, 70_000])
      defer { close(writer.readEnd) }
      var piped = StreamConfiguration(["-"])
      piped.inputDescriptor = writer.readEnd
      #expect(failure(piped, pairs: 600_000)?.tokenIndex == index)
    }
  }

  @Test(arguments: [1, 3], Storage.allCases)
  func idOutsideTheVocabulary(streams: Int, storage: Storage) {
    var tokens = makeTokens(3000, vocabulary: 300)
    tokens[1777] = 300
    tokens[1900] = 301
    let path = folder.write(storage.store(tokens.bytes(.u16)), "data\(storage.suffix)")
    var configuration = StreamConfiguration([path], .u16, streams: streams)
    configuration.vocabularySize = 300
    let error = failure(configuration)
    #expect(error?.kind == .badData)
    #expect(error?.tokenIndex == 1777)
    #expect(error?.description.contains("the id 300 ") == true)
    if storage == .plain { #expect(error?.compressedOffset == 3554) }
    configuration.vocabularySize = 302
    #expect(failure(configuration) == nil)
  }

  @Test(arguments: [1, 3])
  func halfToken(streams: Int) {
    let whole = folder.write(tokens.bytes(.u16), "whole.bin")
    for storage in Storage.allCases {
      let path = folder.write(storage.store(tokens.bytes(.u16) + [1]), "half\(storage.suffix)")
      let error = failure(StreamConfiguration([whole, path, whole], .u16, streams: streams))
      #expect(error?.kind == .badData)
      #expect(error?.file == path)
      #expect(error?.tokenIndex == 2 * tokens.count)
      #expect(error?.description.contains("within a token") == true)
    }
  }

  @Test(arguments: [1, 3])
  func filesThatCannotBeRead(streams: Int) {
    func code(_ path: String) -> StreamError.Kind? {
      failure(StreamConfiguration([path], streams: streams))?.kind
    }
    #expect(code(folder.path + "/none") == .noSuchFile)
    #expect(code(folder.write([1], "file") + "/below") == .noSuchFile)
    #expect(code(folder.path) == .noSuchFile)
    #expect(code(folder.write([], "empty")) == .badData)
    #expect(code(folder.write([], "empty.zst")) == .badData)
    #expect(code(folder.write(zstdFrame([]), "nothing.zst")) == .badData)
    #expect(code(folder.write(lz4Frame([]), "nothing.lz4")) == .badData)
    #expect(code(folder.write(skippable(3), "skip.zst")) == .badData)
    #expect(code(folder.write([7], "one")) == .badData)
    let secret = folder.write([1, 2, 3], "secret")
    chmod(secret, 0)
    if geteuid() != 0 { #expect(code(secret) == .inputOutput) }
  }

  @Test(arguments: [1, 3])
  func windowOverTheCap(streams: Int) {
    let bytes = tokens.bytes(.u8)
    let frame = zstdFrame(bytes, ZstdOptions(contentSize: false, windowLog: 24))
    let path = folder.write(frame, "long.zst")
    var configuration = StreamConfiguration([path], streams: streams)
    configuration.zstdWindowLog = 23
    let error = failure(configuration)
    #expect(error?.kind == .badData)
    #expect(error?.description.contains("zstdWindowLog 24") == true)
    configuration.zstdWindowLog = 24
    #expect(failure(configuration) == nil)
  }

  @Test func scratchFolderThatCannotBeUsed() {
    let bytes = lz4Frame(tokens.bytes(.u8))
    var configuration = StreamConfiguration([folder.write(bytes, "a.lz4")], streams: 2)
    configuration.scratchFolder = folder.path + "/none"
    let error = failure(configuration)
    #expect(error?.kind == .inputOutput)
    #expect(error?.description.contains("TMPDIR") == true)
    #expect(error?.description.contains("streams 1") == true)
    let full = ScratchFile.failure(ENOSPC, folder: "/x", needed: 12_345, written: 1)
    #expect(full.description.contains("12345 bytes") && full.description.contains("/x"))
  }

  @Test func usage() {
    let path = folder.write([1, 2, 3, 4], "data")
    var configurations = [
      StreamConfiguration([]), StreamConfiguration(["-", path]), StreamConfiguration([path], streams: 0),
      StreamConfiguration(["-"], streams: 2), StreamConfiguration([path], chunk: 0),
      StreamConfiguration(["/dev/zero"], streams: 2), StreamConfiguration([path, "/dev/zero"]),
    ]
    var held = StreamConfiguration(["-"])
    held.holdoutFraction = 0.5
    configurations.append(held)
    held.paths = [path]
    for fraction in [-1, 1.5, .nan] {
      held.holdoutFraction = fraction
      configurations.append(held)
    }
    var window = StreamConfiguration([path])
    window.zstdWindowLog = 40
    configurations.append(window)
    for configuration in configurations {
      #expect(failure(configuration)?.kind == .invalidConfiguration, "\(configuration)")
    }
    var skip = StreamConfiguration([path])
    skip.skipTokens = 3
    #expect(failure(skip)?.kind == .badData)
    skip.skipTokens = 100
    #expect(failure(skip)?.kind == .badData)
  }
}
