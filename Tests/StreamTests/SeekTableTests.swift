import LongzooMemory
import Testing

@testable import LongzooStream

/// Sizes that a seek table names are held against the frames, whether or not these name a size themselves.
@Suite struct SeekTableTests {
  private let parts = split(makeTokens(6000).bytes(.u8), every: 1000)

  /// Frames, and a table that says of each what it is told to.
  private func file(_ frames: [[UInt8]], _ entries: [(stored: Int, size: Int)]) -> [UInt8] {
    let table =
      entries.flatMap { little($0.stored, 4) + little($0.size, 4) } + little(entries.count, 4) + [0]
      + [0xB1, 0xEA, 0x92, 0x8F]
    return frames.flatMap { $0 } + [0x5E, 0x2A, 0x4D, 0x18] + little(table.count, 4) + table
  }

  @Test(arguments: [true, false], [1, 4]) func wrongSizesAreAnError(named: Bool, streams: Int) throws {
    let folder = Folder()
    let frames = parts.map { zstdFrame($0, ZstdOptions(contentSize: named)) }
    let right = frames.map { (stored: $0.count, size: 1000) }
    func error(_ entries: [(stored: Int, size: Int)], _ fraction: Double) -> StreamError? {
      var configuration = StreamConfiguration(
        [folder.write(file(frames, entries), "a.zst")], streams: streams)
      configuration.holdoutFraction = fraction
      return failure(configuration, pairs: 6000)
    }
    for fraction in [0, 0.1] {
      #expect(error(right, fraction) == nil)
      let half = right.map { (stored: $0.stored, size: 500) }
      let twice = right.map { (stored: $0.stored, size: 2000) }
      let swapped = zip(right, [500, 1500, 500, 1500, 500, 1500]).map { (stored: $0.stored, size: $1) }
      let empty = [(stored: right[0].stored, size: 0)] + right[1...]
      let merged = [(stored: right[0].stored + right[1].stored, size: 2000)] + right[2...]
      let shifted =
        [(stored: right[0].stored + 5, size: 1000), (stored: right[1].stored - 5, size: 1000)] + right[2...]
      for (name, entries) in [
        ("half", half), ("twice", twice), ("swapped", swapped), ("empty", empty), ("merged", merged),
        ("shifted", shifted),
      ] {
        let found = error(entries, fraction)
        #expect(
          found?.kind == .badData, "\(name), \(String(describing: fraction)): \(String(describing: found))")
      }
    }
  }

  @Test(arguments: [true, false]) func heldOutDataIsVerifiedToo(named: Bool) throws {
    let folder = Folder()
    let frames = parts.map { zstdFrame($0, ZstdOptions(contentSize: named)) }
    let half = frames.map { (stored: $0.count, size: 500) }
    var configuration = StreamConfiguration([folder.write(file(frames, half), "a.zst")])
    for fraction in [0, 0.5] {
      configuration.holdoutFraction = fraction
      #expect(throws: StreamError.self) {
        try HeldOutReader(configuration, ledger: MemoryLedger()).check(limit: 0)
      }
    }
  }

  /// Empty frames are passed over, and a resume begins in the middle.
  @Test(arguments: [1, 3]) func emptyFramesAreNoFault(streams: Int) throws {
    let folder = Folder()
    var all = parts
    all.insert([], at: 2)
    all.insert([], at: 0)
    let frames = all.map { zstdFrame($0, ZstdOptions(contentSize: true)) }
    let path = folder.write(file(frames, zip(frames, all).map { ($0.count, $1.count) }), "a.zst")
    let configuration = StreamConfiguration([path], streams: streams)
    let tokens = parts.flatMap { $0 }.map(UInt32.init)
    let feed = try TokenFeed(configuration, ledger: MemoryLedger())
    let read = try feed.collect(3300)
    for stream in 0..<streams {
      #expect(read[stream] == expected(tokens, stream: stream, of: streams, pairs: 3300))
    }
    let again = try TokenFeed(configuration, resume: feed.position, ledger: MemoryLedger()).collect(4000)
    #expect(again[0] == expected(tokens, stream: 0, of: streams, pairs: 4000, from: 3300))
  }
}
