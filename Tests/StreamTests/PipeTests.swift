import Glibc
import LongzooMemory
import Testing

@testable import LongzooStream

@Suite struct PipeTests {
  func configuration(_ writer: PipeWriter, _ type: TokenType = .u8) -> StreamConfiguration {
    var configuration = StreamConfiguration(["-"], type)
    configuration.inputDescriptor = writer.readEnd
    return configuration
  }

  @Test(arguments: TokenType.allCases, Storage.allCases)
  func oddPieces(type: TokenType, storage: Storage) throws {
    let tokens = makeTokens(3001, vocabulary: type == .u8 ? 256 : 5000)
    let writer = PipeWriter(storage.store(tokens.bytes(type)), pieces: [1, 3, 7, 2, 500, 1, 13], pause: 20)
    defer { close(writer.readEnd) }
    let feed = try TokenFeed(configuration(writer, type), ledger: MemoryLedger())
    for call in 0..<50 {
      let rows = try feed.rows(60)
      #expect(rows.first == Array(tokens[(60 * call)...(60 * call + 60)]))
    }
    #expect(try feed.rows(60).isEmpty)
    #expect(try feed.rows(60).isEmpty)
    #expect(feed.position.pairs == 3000)
  }

  @Test func lastCallIsShort() throws {
    let tokens = makeTokens(100)
    let writer = PipeWriter(tokens.bytes(.u8), pieces: [9])
    defer { close(writer.readEnd) }
    let feed = try TokenFeed(configuration(writer), ledger: MemoryLedger())
    #expect(try feed.rows(64)[0] == Array(tokens[...64]))
    #expect(try feed.rows(64)[0] == Array(tokens[64...]))
    #expect(try feed.rows(64).isEmpty)
  }

  @Test func tokensComeAsSoonAsTheyAreThere() throws {
    for prefix in [[UInt8](), skippable(3)] {
      var ends: [Int32] = [0, 0]
      pipe(&ends)
      var configuration = StreamConfiguration(["-"])
      configuration.inputDescriptor = ends[0]
      let feed = try TokenFeed(configuration, ledger: MemoryLedger())
      let framed = !prefix.isEmpty
      writeAll(prefix, to: ends[1])
      for round in 0..<20 {
        let bytes = [UInt8](repeating: UInt8(round), count: round == 0 ? 4 : 3)
        // The last byte of a frame is held back: nothing may wait for the next frame.
        writeAll(framed ? zstdFrame(bytes) : bytes, to: ends[1])
        #expect(try feed.rows(3).first?.count == 4)
      }
      close(ends[1])
      #expect(try feed.rows(3).isEmpty)
      close(ends[0])
    }
  }

  @Test func leavesAQuietPipe() throws {
    for bytes in [[UInt8](), [0x28, 0xB5], [1, 2, 3]] {
      var ends: [Int32] = [0, 0]
      pipe(&ends)
      writeAll(bytes, to: ends[1])
      var configuration = StreamConfiguration(["-"])
      configuration.inputDescriptor = ends[0]
      let start = ContinuousClock.now
      do {
        let feed = try TokenFeed(configuration, ledger: MemoryLedger())
        usleep(20_000)
        _ = feed.position
      }
      #expect(ContinuousClock.now - start < .seconds(2))
      close(ends[0])
      close(ends[1])
    }
  }

  @Test func resumeSkipsWhatWasConsumed() throws {
    let tokens = makeTokens(3000, vocabulary: 5000)
    let bytes = zstdFrame(tokens.bytes(.u16))
    func feed(_ bytes: [UInt8], resume: StreamPosition?, skip: Int) throws -> TokenFeed {
      var configuration = configuration(PipeWriter(bytes, pieces: [100, 33]), .u16)
      configuration.skipTokens = skip
      return try TokenFeed(configuration, resume: resume, ledger: MemoryLedger())
    }
    for skip in [0, 21] {
      let all = Array(tokens[skip...])
      var position: StreamPosition?
      for count in [5, 64, 1, 13] {
        let current = try feed(bytes, resume: position, skip: skip)
        let from = position?.pairs ?? 0
        #expect(try current.rows(count)[0] == Array(all[from...(from + count)]))
        #expect(try current.rows(count)[0] == Array(all[(from + count)...(from + 2 * count)]))
        position = current.position
        #expect(position?.pairs == from + 2 * count)
      }
      var other = tokens
      other[skip + 3] ^= 1
      let refused = try feed(zstdFrame(other.bytes(.u16)), resume: position, skip: skip)
      let error = #expect(throws: StreamError.self) { try refused.rows(1) }
      #expect(error?.kind == .badData)
      #expect(error?.description.contains("other data") == true)
      let short = try feed(zstdFrame(Array(tokens[..<50]).bytes(.u16)), resume: position, skip: skip)
      #expect(throws: StreamError.self) { try short.rows(1) }
    }
  }

  @Test func expectedTokens() throws {
    let tokens = makeTokens(500)
    func error(_ expected: Int, skip: Int = 0) throws -> StreamError? {
      let writer = PipeWriter(tokens.bytes(.u8), pieces: [77])
      defer { close(writer.readEnd) }
      var configuration = configuration(writer)
      configuration.expectTokens = expected
      configuration.skipTokens = skip
      let feed = try TokenFeed(configuration, ledger: MemoryLedger())
      do throws(StreamError) {
        let read = try feed.collect(1000)[0]
        #expect(read == Array(tokens[skip...]))
        return nil
      } catch {
        #expect(feed.position.pairs == min(expected, 500) - skip - 1)
        return error
      }
    }
    #expect(try error(500) == nil)
    #expect(try error(500, skip: 10) == nil)
    #expect(try error(501, skip: 10)?.tokenIndex == 500)
    #expect(try error(499)?.tokenIndex == 499)
    #expect(try error(300)?.kind == .badData)
  }

  @Test func expectedTokensOfFiles() throws {
    let folder = Folder()
    let bytes = makeTokens(500).bytes(.u8)
    for (name, data) in [("a", bytes), ("a.zst", zstdFrame(bytes))] {
      for streams in [1, 2] {
        var configuration = StreamConfiguration([folder.write(data, name)], streams: streams)
        for (expected, right) in [(500, true), (499, false), (501, false)] {
          configuration.expectTokens = expected
          let error = failure(configuration)
          #expect((error == nil) == right, "\(name) \(streams) \(expected)")
          if let error { #expect(error.kind == .badData && error.description.contains("expectTokens")) }
        }
      }
    }
  }

  @Test func aNamedPipeIsAPipe() throws {
    let folder = Folder()
    let path = folder.path + "/fifo"
    mkfifo(path, 0o600)
    let tokens = makeTokens(1000)
    detach {
      let descriptor = open(path, O_WRONLY)
      writeAll(tokens.bytes(.u8), to: descriptor)
      close(descriptor)
    }
    let feed = try TokenFeed(StreamConfiguration([path]), ledger: MemoryLedger())
    #expect(try feed.collect(2000)[0] == tokens)
  }

  @Test func anEmptyPipeIsAnError() throws {
    let writer = PipeWriter([], pieces: [1])
    defer { close(writer.readEnd) }
    let error = failure(configuration(writer))
    #expect(error?.kind == .badData)
    #expect(error?.file == "standard input")
  }
}
