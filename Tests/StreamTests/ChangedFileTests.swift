import Glibc
import LongzooMemory
import Testing

@testable import LongzooStream

/// Files that are cut off, written to or replaced while they are read.
@Suite struct ChangedFileTests {
  let folder = Folder()
  private let tokens = makeTokens(400_000)

  private func read(_ reader: HeldOutReader) throws -> [UInt32] {
    var all: [UInt32] = []
    var row = [UInt32](repeating: 0, count: 4096)
    reader.rewind()
    while true {
      var span = row.mutableSpan
      let count = try reader.next(into: &span)
      if count == 0 { return all }
      all += row[..<count]
    }
  }

  private func expectIO(_ error: StreamError?, _ text: String) {
    #expect(
      error?.kind == .inputOutput && error?.description.contains(text) == true, "\(String(describing: error))"
    )
  }

  @Test(arguments: [1, 4]) func aShorterFileIsAnError(streams: Int) throws {
    for (name, bytes) in [("plain", tokens.bytes(.u8)), ("a.zst", zstdFrame(tokens.bytes(.u8)))] {
      let path = folder.write(bytes, name)
      let feed = try TokenFeed(StreamConfiguration([path], streams: streams), ledger: MemoryLedger())
      // Compressed data of several streams is unpacked already.
      if streams > 1, name != "plain" { continue }
      _ = try feed.rows(1)
      truncate(path, bytes.count * 9 / 10)
      expectIO(#expect(throws: StreamError.self) { try feed.collect(900_000) }, "became shorter")
    }
  }

  /// What was there when the file was opened is read, and nothing that is appended.
  @Test func aGrowingFileIsReadAsItWas() throws {
    let path = folder.write(tokens.bytes(.u8), "log")
    let feed = try TokenFeed(StreamConfiguration([path]), ledger: MemoryLedger())
    let reader = try HeldOutReader(StreamConfiguration([path]), ledger: MemoryLedger())
    let descriptor = open(path, O_WRONLY | O_APPEND)
    writeAll([UInt8](repeating: 1, count: 1000), to: descriptor)
    close(descriptor)
    #expect(try read(reader) == tokens)
    let pairs = tokens.count + 100
    #expect(try feed.collect(pairs)[0] == expected(tokens, stream: 0, of: 1, pairs: pairs))
  }

  @Test func heldOutDataIsTheFileThatWasOpened() throws {
    for bytes in [tokens.bytes(.u8), zstdFrame(tokens.bytes(.u8))] {
      let path = folder.write(bytes, "held")
      let reader = try HeldOutReader(StreamConfiguration([path]), ledger: MemoryLedger())
      #expect(try read(reader) == tokens)
      rename(folder.write([1, 2, 3], "other"), path)
      #expect(try read(reader) == tokens)
    }
  }

  @Test func heldOutDataThatChangesIsAnError() throws {
    let path = folder.write(tokens.bytes(.u8), "held")
    let reader = try HeldOutReader(StreamConfiguration([path]), ledger: MemoryLedger())
    #expect(try read(reader) == tokens)
    usleep(20_000)
    folder.write(tokens.reversed().bytes(.u8), "held")
    expectIO(#expect(throws: StreamError.self) { try read(reader) }, "was written to")
    truncate(path, 5000)
    expectIO(#expect(throws: StreamError.self) { try read(reader) }, "became shorter")
    // One of several is opened anew.
    let other = folder.write(tokens.bytes(.u8), "b")
    let both = try HeldOutReader(StreamConfiguration([path, other]), ledger: MemoryLedger())
    _ = try read(both)
    rename(folder.write(tokens.bytes(.u8), "c"), other)
    expectIO(#expect(throws: StreamError.self) { try read(both) }, "replaced")
  }

  /// The head of a frame that cannot be read in full is not that of a plain file.
  @Test func aHeadThatReadsShortIsAnError() throws {
    let path = folder.write(zstdFrame(tokens.bytes(.u8)), "a.zst")
    let input = try InputFile(path: path)
    truncate(path, 3)
    expectIO(#expect(throws: StreamError.self) { try FrameHead.read(input, at: 0) }, "became shorter")
    expectIO(#expect(throws: StreamError.self) { try FrameLister(input, file: 0) }, "became shorter")
  }

  @Test func checkFindsWhatAnEvaluationWouldFailOn() throws {
    func error(_ bytes: [UInt8], _ type: TokenType = .u8, targets: TargetChoice = .all, limit: Int = 0)
      -> StreamError?
    {
      var configuration = StreamConfiguration([folder.write(bytes, "val")], type)
      configuration.targets = targets
      if targets == .marked { configuration.vocabularySize = 128 }
      do throws(StreamError) {
        let reader = try HeldOutReader(configuration, ledger: MemoryLedger())
        try reader.check(limit: limit)
        var row = [UInt32](repeating: 0, count: 2)
        var span = row.mutableSpan
        #expect(try reader.next(into: &span) == 2, "a check takes nothing away")
        return nil
      } catch {
        return error
      }
    }
    let wrong = [UInt32](repeating: 7, count: 1000) + [6000]
    #expect(error(wrong.bytes(.u16), .u16)?.tokenIndex == 1000)
    #expect(error(zstdFrame(wrong.bytes(.u16)), .u16)?.tokenIndex == 1000)
    #expect(error(wrong.bytes(.u16), .u16, limit: 1000) == nil)
    for bytes in [[UInt8(5)], zstdFrame([5])] {
      let text = error(bytes)?.description ?? ""
      #expect(text.contains("1 of the at least 2 tokens") && !text.contains("holdoutFraction"), "\(text)")
    }
    #expect(
      error([1] + [UInt8](repeating: 0x81, count: 500), targets: .marked)?.description.contains("marked")
        == true)
    #expect(error([1, 0x81, 2, 0x83], targets: .marked) == nil)
  }
}
