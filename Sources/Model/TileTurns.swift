import LongzooMemory

/// Hands a chunk's tiles to threads piece by piece.
///
/// Whole tiles are large tasks: 16 of them on two threads leave one thread idle for up to an eighth of a chunk where the
/// other is held up. What is left of a tile goes on wherever a thread is free, and a tile computes the same bits however it
/// is cut.
final class TileTurns: Sendable {
  struct Turn {
    let tile: Int
    let piece: Int
  }

  /// [T] pieces that are done; its complement while the next one is under way. Touched under the lock only.
  private let done: Buffer<Int32>
  private let lock = Locked(0)  // pieces of this chunk

  static func byteCount(tiles: Int) -> Int { room(tiles).byteCount }

  private static func room(_ tiles: Int) -> Room<Int32> {
    Room(tiles, .activations, for: "the tiles' turns")
  }

  /// Pieces of a chunk: about 64 turns a thread, of four tokens or more.
  static func pieces(ofTokens count: Int, tiles: Int, threads: Int) -> Int {
    threads > 1 && tiles > threads ? max(1, min(count / 4, 64 * threads / tiles)) : 1
  }

  init(tiles: Int, ledger: MemoryLedger) throws(MemoryError) {
    done = try Self.room(tiles).buffer(ledger)
  }

  func begin(pieces: Int) {
    lock.withLock { all in
      all = pieces
      done.elements.update(repeating: 0)
    }
  }

  /// The next piece of the tile that is furthest behind; nil once all that is left is in other threads' hands.
  func take() -> Turn? {
    lock.withLock { pieces in
      var chosen: Int?
      for tile in 0..<done.count where done[tile] >= 0 && done[tile] < pieces {
        if chosen.map({ done[tile] < done[$0] }) ?? true { chosen = tile }
      }
      guard let tile = chosen else { return nil }
      let piece = Int(done[tile])
      done[tile] = ~done[tile]
      return Turn(tile: tile, piece: piece)
    }
  }

  func finish(_ turn: Turn) {
    lock.withLock { _ in done[turn.tile] = Int32(turn.piece) + 1 }
  }
}

extension Population {
  /// Runs all tiles through `count` tokens: `body(tile, thread, tokens)`, with the tokens of a tile in their order and, where
  /// threads have more than one tile each, in pieces.
  package func runTiles(
    _ count: Int, on pool: ThreadPool, _ body: (_ tile: Int, _ thread: Int, _ tokens: Range<Int>) -> Void
  ) {
    // States that are not carried begin and end with a chunk; normal entries are drawn at its start, once a call.
    let isDivisible = carriesStates && layout.kind != .gaussian
    let pieces =
      isDivisible ? TileTurns.pieces(ofTokens: count, tiles: tiles, threads: pool.threads) : 1
    guard pieces > 1 else { return pool.run(tiles) { body($0, $1, 0..<count) } }
    turns.begin(pieces: pieces)
    pool.run(pool.threads) { _, thread in
      while let turn = turns.take() {
        body(turn.tile, thread, count * turn.piece / pieces..<count * (turn.piece + 1) / pieces)
        turns.finish(turn)
      }
    }
  }
}
