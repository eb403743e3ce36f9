import Glibc
import LongzooMemory
import Testing

@testable import LongzooStream

@Suite struct BudgetTests {
  let folder = Folder()

  @Test(arguments: [1, 2, 1024], Storage.allCases)
  func byteCountIsWhatIsCharged(streams: Int, storage: Storage) throws {
    var counts: Set<Int> = []
    for length in [3000, 150_000] {
      let bytes = storage.store(makeTokens(length).bytes(.u8))
      let path = folder.write(bytes, "data\(length)\(storage.suffix)")
      var configuration = StreamConfiguration([path], streams: streams)
      configuration.scratchFolder = folder.path
      let ledger = MemoryLedger()
      var feed: TokenFeed? = try TokenFeed(configuration, ledger: ledger)
      let count = try TokenFeed.byteCount(for: configuration)
      #expect(ledger.snapshot().current[.stream] == count)
      _ = try feed?.rows(64)
      if streams == 1 { _ = try feed?.collect(length) }
      let snapshot = ledger.snapshot()
      #expect(snapshot.current[.stream] == count)
      #expect(snapshot.peakTotal == count)
      #expect(snapshot.current.total == count)
      feed = nil
      #expect(ledger.snapshot().current.total == 0)
      // A frame that is smaller than the window needs only its own size.
      if storage != .zstdOne { counts.insert(count) }
    }
    #expect(counts.count <= 1)
  }

  @Test func manyStreamsStaySmall() {
    for streams in [1, 2, 16, 100, 1024] {
      var configuration = StreamConfiguration(["-"], streams: streams, chunk: 1 << 30)
      configuration.tokenType = .u32
      #expect(TokenFeed.fixedByteCount(configuration) < 5 << 20)
    }
  }

  @Test func heldOutReaderIsCharged() throws {
    for storage in Storage.allCases {
      let path = folder.write(storage.store(makeTokens(3000).bytes(.u8)), "held\(storage.suffix)")
      var configuration = StreamConfiguration([path])
      configuration.holdoutFraction = 0.1
      let ledger = MemoryLedger()
      var reader: HeldOutReader? = try HeldOutReader(configuration, ledger: ledger)
      #expect(reader?.tokens == 300)
      #expect(ledger.snapshot().peakTotal == (try HeldOutReader.byteCount(for: configuration)))
      reader = nil
      #expect(ledger.snapshot().current.total == 0)
    }
  }

  @Test func zstdHoldsNoMoreThanIsReserved() throws {
    let bytes = makeTokens(300_000).bytes(.u8)
    for log: Int32 in [10, 14, 17, 20, 23, 27] {
      for level: Int32 in [1, 19] where level == 1 || log <= 20 {
        for contentSize in [true, false] {
          let options = ZstdOptions(contentSize: contentSize, windowLog: log, level: level)
          let path = folder.write(zstdFrame(bytes, options), "w.zst")
          let ledger = MemoryLedger()
          let memory = DecoderMemory(ledger: ledger)
          let configuration = StreamConfiguration([path])
          let decoder = try ByteDecoder(configuration, memory: memory, ledger: ledger)
          decoder.attach(try InputFile(path: path), as: .frames(.zstd))
          let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 5000, alignment: 8)
          defer { block.deallocate() }
          while try decoder.read(into: block) > 0 {}
          #expect(decoder.libraryByteCount > 0)
          #expect(decoder.libraryByteCount <= memory.need.byteCount, "window log \(log), level \(level)")
        }
      }
    }
  }

  @Test func aLaterFrameWithALargerWindowIsReserved() throws {
    let bytes = makeTokens(10_000).bytes(.u8)
    let small = zstdFrame(bytes, ZstdOptions(contentSize: false, windowLog: 12))
    let large = zstdFrame(bytes, ZstdOptions(contentSize: false, windowLog: 22))
    let configuration = StreamConfiguration([folder.write(small + large, "two.zst")])
    let ledger = MemoryLedger()
    let feed = try TokenFeed(configuration, ledger: ledger)
    _ = try feed.collect(20_000)
    let count = try TokenFeed.byteCount(for: configuration)
    #expect(ledger.snapshot().current[.stream] == count + (1 << 22) - (1 << 12))

    let tight = try TokenFeed(configuration, ledger: MemoryLedger(budget: count + 1000))
    let error = #expect(throws: StreamError.self) { try tight.collect(20_000) }
    #expect(error?.kind == .overBudget)
    #expect(error?.description.contains("memoryBudget") == true)
  }

  @Test func aPipeIsChargedWhenItsFrameComes() throws {
    let frame = zstdFrame(makeTokens(1000).bytes(.u8), ZstdOptions(contentSize: false, windowLog: 20))
    let writer = PipeWriter(frame, pieces: [100])
    defer { close(writer.readEnd) }
    var configuration = StreamConfiguration(["-"])
    configuration.inputDescriptor = writer.readEnd
    let ledger = MemoryLedger()
    let feed = try TokenFeed(configuration, ledger: ledger)
    _ = try feed.collect(900)
    let need = DecoderNeed(.zstd, workspace: 1 << 20).byteCount
    #expect(ledger.snapshot().current[.stream] == (try TokenFeed.byteCount(for: configuration)) + need)
  }

  @Test func aBudgetThatIsTooSmallIsRefused() {
    let configuration = StreamConfiguration([folder.write([1, 2, 3], "tiny")])
    #expect(throws: StreamError.self) { try TokenFeed(configuration, ledger: MemoryLedger(budget: 1000)) }
  }
}
