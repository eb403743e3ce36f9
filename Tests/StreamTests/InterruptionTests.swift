import LongzooMemory
import Synchronization
import Testing

@testable import LongzooStream

/// Work that comes before the first token, and grows with the data, can be ended.
@Suite struct InterruptionTests {
  let folder = Folder()

  /// Frames without sizes: they have to be decoded to be counted, and unpacked for several streams.
  private func configuration(streams: Int, isInterrupted: @escaping @Sendable () -> Bool)
    -> StreamConfiguration
  {
    let bytes = makeTokens(400_000).bytes(.u8)
    let path = folder.write(zstdFrame(bytes, ZstdOptions(contentSize: false)), "data.zst")
    var configuration = StreamConfiguration([path], streams: streams)
    configuration.holdoutFraction = 0.1
    configuration.isInterrupted = isInterrupted
    return configuration
  }

  @Test(arguments: [1, 4])
  func countingAndUnpackingEnd(streams: Int) throws {
    let questions = Locked(0)
    let data = configuration(streams: streams) {
      questions.withLock {
        $0 += 1
        return $0 > 2
      }
    }
    let error = #expect(throws: StreamError.self) { _ = try TokenFeed(data, ledger: MemoryLedger()) }
    #expect(error?.kind == .interrupted)
    #expect(questions.withLock { $0 } == 3)
  }

  /// Tokens that training waits for are none of this.
  @Test(arguments: [1, 4])
  func trainingIsNotEnded(streams: Int) throws {
    let isOver = Atomic<Bool>(false)
    let data = configuration(streams: streams) { isOver.load(ordering: .relaxed) }
    let feed = try TokenFeed(data, ledger: MemoryLedger())
    isOver.store(true, ordering: .relaxed)
    #expect(try feed.collect(50_000)[0].count == 50_001)
  }

  @Test func heldOutTokensEnd() throws {
    let data = configuration(streams: 1) { false }
    let reader = try HeldOutReader(data, totalTokens: 400_000, ledger: MemoryLedger())
    var memory = [UInt32](repeating: 0, count: 10)
    var span = memory.mutableSpan
    reader.isInterrupted = { true }
    let error = #expect(throws: StreamError.self) { _ = try reader.next(into: &span) }
    #expect(error?.kind == .interrupted)
  }
}
