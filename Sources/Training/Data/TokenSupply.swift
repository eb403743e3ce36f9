import LongzooMemory
import LongzooStream

/// Where the training loop gets its rows of tokens: the feed, or a block of them that was kept for going through again.
///
/// A pipe cannot be rewound, so what is to be read more than once is held, in memory that does not depend on the data's length.
/// The supply's position is that of the training, which within a block lies behind that of the feed.
package final class TokenSupply {
  package let rows: TokenRows
  package let feed: TokenFeed
  private let streams: Int
  /// [chunks][streams][chunk + 1], and the pairs of each kept chunk.
  private let block: Buffer<UInt32>
  private let counts: Buffer<Int>
  private var kept = 0
  /// The kept chunk that comes next.
  private var next = 0
  private var isKeeping = false
  /// Rows that nobody has asked for yet: how many tokens were wanted and came, and where they begin.
  private var prefetched: (count: Int, got: Int, start: Position)?
  /// The feed's position where the block begins, and the tokens a stream that have been handed out since.
  private var blockStart: StreamPosition?
  private var handedOut = 0

  /// A place in the data, as a checkpoint has it: tokens of each stream behind a position of the feed.
  package struct Position {
    package var feed: StreamPosition
    package var tokens: Int
  }

  package static func byteCount(streams: Int, chunk: Int, keptChunks: Int) -> Int {
    TokenRows.byteCount(streams: streams, chunk: chunk)
      + Buffer<UInt32>.byteCount(for: keptChunks * streams * (chunk + 1))
      + Buffer<Int>.byteCount(for: keptChunks)
  }

  package init(
    _ feed: TokenFeed, streams: Int, chunk: Int, vocabularySize: Int, keptChunks: Int, ledger: MemoryLedger
  ) throws(MemoryError) {
    self.feed = feed
    self.streams = streams
    rows = try TokenRows(
      streams: streams, chunk: chunk, vocabularySize: vocabularySize, ledger: ledger)
    block = try Buffer(
      count: keptChunks * streams * (chunk + 1), .stream, for: "tokens to try learning rates on",
      ledger: ledger)
    counts = try Buffer(count: keptChunks, .stream, for: "their chunks", ledger: ledger)
  }

  /// Reads what the next `fill` will be asked for: whether there is anything, and whether that is sound, is known then.
  /// - Returns: the tokens that there are.
  package func prefetch(_ count: Int) throws(StreamError) -> Int {
    let before = position
    let got = try rows.fill(count, from: feed)
    prefetched = (count, got, before)
    return got
  }

  /// Fills the rows with the next tokens; fewer than `count` only at the end of a pipe.
  package func fill(_ count: Int) throws(StreamError) -> Int {
    if next < kept { return takeKept(count) }
    let got = if let ready = takePrefetched(count) { ready } else { try rows.fill(count, from: feed) }
    if isKeeping {
      guard got > 0 else { return 0 }
      precondition(kept < counts.count, "a block of more than \(counts.count) chunks")
      (block.pointer + kept * rows.values.count).update(from: rows.values.pointer, count: rows.values.count)
      counts[kept] = got
      kept += 1
      next = kept
      handedOut += got
    } else {
      leaveBlock()
    }
    return got
  }

  private func takePrefetched(_ count: Int) -> Int? {
    guard let rows = prefetched else { return nil }
    precondition(rows.count == count, "\(count) tokens after a prefetch of \(rows.count)")
    prefetched = nil
    return rows.got
  }

  private func takeKept(_ count: Int) -> Int {
    precondition(counts[next] <= count, "a chunk of \(counts[next]) tokens where \(count) were asked for")
    rows.values.pointer.update(from: block.pointer + next * rows.values.count, count: rows.values.count)
    handedOut += counts[next]
    next += 1
    return counts[next - 1]
  }

  /// From here on tokens are kept, as many as there is room for.
  package func beginBlock() {
    precondition(next == kept, "a block begins within another one")
    (kept, next, handedOut, isKeeping) = (0, 0, 0, true)
    blockStart = position.feed
  }

  /// Back to where the block begins.
  package func rewind() { (next, handedOut) = (0, 0) }

  /// What was kept will be handed out once more, and then what follows it.
  package func endBlock() {
    rewind()
    isKeeping = false
  }

  private func leaveBlock() {
    (kept, next, blockStart) = (0, 0, nil)
  }

  /// Whether kept chunks are still to be handed out.
  package var isWithinBlock: Bool { isKeeping || next < kept }

  package var position: Position {
    if let prefetched { return prefetched.start }
    guard let blockStart, isWithinBlock else { return Position(feed: feed.position, tokens: 0) }
    return Position(feed: blockStart, tokens: handedOut)
  }

  /// Leaves out tokens of each stream, for a resume within a block.
  /// - Parameter stop: asked again and again; true ends it.
  package func skip(_ tokens: Int, stop: () -> Bool) throws(StreamError) {
    let chunk = rows.stride - 1
    var left = tokens
    while left > 0, !stop() {
      let got = try rows.fill(min(chunk, left), from: feed)
      if got == 0 { return }
      left -= got
    }
  }
}
