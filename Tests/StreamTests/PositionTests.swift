import Foundation
import LongzooMemory
import Testing

@testable import LongzooStream

@Suite struct PositionTests {
  let folder = Folder()

  /// Saves at every position of more than two passes, resumes, and saves and resumes again.
  func check(_ configuration: StreamConfiguration, _ region: [UInt32], pairs: Int) throws {
    let feed = try TokenFeed(configuration, ledger: MemoryLedger())
    for done in 0..<pairs {
      var position = feed.position
      #expect(position.pairs == done)
      if done % 3 == 0 {
        position = try JSONDecoder().decode(
          StreamPosition.self, from: JSONEncoder().encode(position))
      }
      let resumed = try TokenFeed(configuration, resume: position, ledger: MemoryLedger())
      #expect(resumed.position == feed.position)
      let rows = try resumed.rows(3)
      let again = try TokenFeed(configuration, resume: resumed.position, ledger: MemoryLedger())
      let more = try again.rows(5)
      for stream in 0..<configuration.streams {
        let wanted = expected(region, stream: stream, of: configuration.streams, pairs: 8, from: done)
        #expect(rows[stream] == Array(wanted[...3]), "resumed at \(done)")
        #expect(more[stream] == Array(wanted[3...]), "resumed again at \(done + 3)")
      }
      _ = try feed.rows(1)
    }
  }

  @Test(arguments: [1, 3], Storage.allCases)
  func everyPosition(streams: Int, storage: Storage) throws {
    let tokens = makeTokens(61, vocabulary: 5000)
    let bytes = tokens.bytes(.u16)
    let stored =
      storage == .zstdFrames
      ? split(bytes, every: 7).flatMap { zstdFrame($0) + skippable(1) } : storage.store(bytes)
    let path = folder.write(stored, "data\(storage.suffix)")
    try check(StreamConfiguration([path], .u16, streams: streams), tokens, pairs: 130)
  }

  @Test(arguments: [1, 3])
  func everyPositionOfSeveralFilesWithSkipAndHoldOut(streams: Int) throws {
    var tokens: [UInt32] = []
    var paths: [String] = []
    for (number, storage) in Storage.allCases.enumerated() {
      let part = makeTokens(9 + number, seed: UInt64(number + 2))
      tokens += part
      paths.append(folder.write(storage.store(part.bytes(.u8)), "part\(number)\(storage.suffix)"))
    }
    var configuration = StreamConfiguration(paths, streams: streams)
    configuration.skipTokens = 13
    try check(configuration, Array(tokens[13...]), pairs: 160)
    configuration.holdoutFraction = 0.25
    let end = tokens.count - tokens.count / 4
    try check(configuration, Array(tokens[13..<end]), pairs: 130)
  }

  @Test func resumeDecodesOnlyTheFrame() throws {
    let tokens = makeTokens(100_000)
    let path = folder.write(split(tokens.bytes(.u8), every: 1000).flatMap { zstdFrame($0) }, "data.zst")
    let feed = try TokenFeed(StreamConfiguration([path]), ledger: MemoryLedger())
    _ = try feed.collect(90_000)
    let restart = try #require(feed.position.restart)
    #expect(restart.token == 90_000)
    // A block of 32 KiB can begin in an earlier frame.
    #expect(restart.skip <= 34_000)
  }

  @Test(arguments: [1, 3])
  func otherDataIsRefused(streams: Int) throws {
    let bytes = makeTokens(5000).bytes(.u8)
    let path = folder.write(bytes, "data")
    let configuration = StreamConfiguration([path], streams: streams)
    let feed = try TokenFeed(configuration, ledger: MemoryLedger())
    _ = try feed.rows(10)
    let position = feed.position
    _ = try TokenFeed(configuration, resume: position, ledger: MemoryLedger())

    func refusal(_ configuration: StreamConfiguration) -> StreamError.Kind? {
      do throws(StreamError) {
        _ = try TokenFeed(configuration, resume: position, ledger: MemoryLedger())
        return nil
      } catch {
        return error.kind
      }
    }
    var changed = bytes
    changed[4999] ^= 1
    #expect(refusal(StreamConfiguration([folder.write(changed, "changed")], streams: streams)) == .badData)
    #expect(refusal(StreamConfiguration([folder.write(bytes + [1], "longer")], streams: streams)) == .badData)
    #expect(refusal(StreamConfiguration([path, path], streams: streams)) == .badData)
    #expect(refusal(StreamConfiguration([path], streams: streams + 1)) == .invalidConfiguration)
    #expect(refusal(StreamConfiguration([path], .u16, streams: streams)) == .invalidConfiguration)
    if streams == 1 { #expect(refusal(StreamConfiguration(["-"])) == .badData) }
  }

  @Test func damagedPositionsDoNotTrap() throws {
    let path = folder.write(zstdFrame(makeTokens(5000).bytes(.u8)), "data.zst")
    let configuration = StreamConfiguration([path])
    let feed = try TokenFeed(configuration, ledger: MemoryLedger())
    _ = try feed.rows(10)
    let good = feed.position
    let restart = try #require(good.restart)
    for number in [-1, 1, 5, 6000, 1 << 50, Int.max] {
      for field in [\RestartPoint.file, \.frameOffset, \.frameByte, \.skip, \.token] {
        var point = restart
        point[keyPath: field] = number
        let bad = StreamPosition(pairs: good.pairs, cut: good.cut, identity: good.identity, restart: point)
        do throws(StreamError) {
          let feed = try TokenFeed(configuration, resume: bad, ledger: MemoryLedger())
          for _ in 0..<3 { _ = try feed.rows(64) }
        } catch {
          #expect(error.kind == .badData)
        }
      }
      let bad = StreamPosition(pairs: number, cut: good.cut, identity: good.identity, restart: nil)
      #expect(throws: StreamError.self) { try TokenFeed(configuration, resume: bad, ledger: MemoryLedger()) }
    }
  }
}
