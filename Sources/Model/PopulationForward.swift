import CLongzooKernels
import LongzooMemory

/// One-sided perturbations: directions that are measured against the unperturbed model and not against their other sign.
extension Population {
  /// What the "−" columns of a tile are, and which lanes count.
  package enum Beside {
    /// The directions of the next tile, or of the same one again where there is no next: all pairs read one stream, and the
    /// unperturbed model runs elsewhere.
    case nextTile
    /// The unperturbed model, on the stream of the "+" column.
    case unperturbed
  }

  /// Tiles of 32 columns that the kernel runs for this many pairs.
  package static func forwardTiles(pairs: Int, _ beside: Beside) -> Int {
    switch beside {
    case .nextTile: (tiles(pairs) + 1) / 2
    case .unperturbed: tiles(pairs)
    }
  }

  /// The readout's rows of a tile that are used.
  package static func forwardRows(tile: Int, pairs: Int, _ beside: Beside) -> Int {
    let first = beside == .nextTile ? 2 * tile * Tile.pairs : tile * Tile.pairs
    return min(Tile.pairs, pairs - first)
  }

  /// As `run`, on a state that the caller keeps: [layout.stateFloats] of this tile. Losses go to the tile's 32 of `losses`.
  package func runForward(
    tile: Int, beside: Beside, state: UnsafeMutablePointer<Float>, thread: Int, weights: PackedWeights,
    epsilon: Float, tokens: TokenBlock, readout: ReadoutRows?
  ) {
    let first = beside == .nextTile ? 2 * tile : tile
    let other = beside == .nextTile && first + 1 < tiles ? first + 1 : first
    let vocabulary = layout.shape.vocabularySize
    withUnsafeTemporaryAllocation(of: UnsafePointer<UInt32>?.self, capacity: Tile.pairs) { rows in
      for lane in 0..<Tile.pairs { rows[lane] = tokens.row(streamOfPair[first * Tile.pairs + lane]) }
      var chunk = lz_chunk()
      chunk.weights = UnsafePointer(weights.values.pointer)
      chunk.signs = UnsafePointer(signs.pointer + first * layout.c.pointee.signs)
      chunk.epsilon = epsilon
      chunk.state = state
      chunk.tokens = UnsafePointer(rows.baseAddress)
      chunk.count = Int64(tokens.count)
      chunk.loss = losses.pointer + tile * Tile.columns
      chunk.seen = seen.pointer + first * vocabulary
      chunk.valid = Int32(Self.forwardRows(tile: tile, pairs: pairs, beside))
      readout?.set(&chunk, tile: tile, layout)
      chunk.tile_step = Self.forwardTiles(pairs: pairs, beside)
      var second = lz_second()
      second.signs = UnsafePointer(signs.pointer + other * layout.c.pointee.signs)
      second.epsilon = beside == .nextTile ? epsilon : 0
      second.seen = other == first ? nil : seen.pointer + other * vocabulary
      lz_run_forward(
        instructions.code, layout.c, &chunk, &second, scratch.pointer + thread * Self.scratchStride(layout))
    }
  }
}
