import CLongzooKernels

/// Where the mean states of all pairs go while their gates are moved: [L][T][K + 1][16][row] with any strides, before the
/// first token and behind every token.
package struct NodeMeans {
  package var at: UnsafeMutablePointer<Float>
  package var layerStride: Int
  package var tileStride: Int
  package var tokenStride: Int
  /// Floats of a pair's units, padded with zeros.
  package var row: Int

  package init(
    at: UnsafeMutablePointer<Float>, layerStride: Int, tileStride: Int, tokenStride: Int, row: Int
  ) {
    self.at = at
    self.layerStride = layerStride
    self.tileStride = tileStride
    self.tokenStride = tokenStride
    self.row = row
  }
}

extension Population {
  /// Runs one tile over a block of a window's tokens, from its token `first` on, with the gates moved: every token has signs and
  /// losses of its own, and the mean states of the pairs are handed out.
  /// - Parameters:
  ///   - tokens: beginning with token `first` of each stream.
  ///   - readout: where (p − y) and h of every pair and token go.
  package func runNodes(
    tile: Int, thread: Int, weights: PackedWeights, epsilon: Float, tokens: TokenBlock,
    from first: Int, readout: ReadoutRows, means: NodeMeans
  ) {
    let count = tokens.count
    precondition(layout.movesNodes && first + count <= tokenSets)
    withUnsafeTemporaryAllocation(of: UnsafePointer<UInt32>?.self, capacity: Tile.pairs) { rows in
      for lane in 0..<Tile.pairs { rows[lane] = tokens.row(streamOfPair[tile * Tile.pairs + lane]) }
      var chunk = chunk(tile: tile, weights: weights, epsilon: epsilon, rows: rows.baseAddress!, count: count)
      chunk.state = states.pointer + tile * layout.c.pointee.state
      chunk.signs += first * tiles * layout.c.pointee.signs
      chunk.sign_step = tiles * layout.c.pointee.signs
      chunk.loss += first * tiles * Tile.columns
      chunk.loss_step = tiles * Tile.columns
      chunk.seen = nil
      readout.set(&chunk, tile: tile, layout)
      chunk.means = lz_means(
        at: means.at + first * means.tokenStride + tile * means.tileStride, stage: means.layerStride,
        token: means.tokenStride, row: means.row)
      lz_run_chunk(instructions.code, layout.c, &chunk, scratch(ofThread: thread))
    }
  }

  /// The losses of a pair at a token of the window, in nats: under + and under −.
  package func loss(ofPair pair: Int, token: Int) -> (plus: Double, minus: Double) {
    let base = (token * tiles + pair / Tile.pairs) * Tile.columns + pair % Tile.pairs
    return (losses[base], losses[base + Tile.pairs])
  }

  /// A tile's sign words of a token of the window.
  package func signs(tile: Int, token: Int) -> UnsafeMutablePointer<UInt16> {
    signs.pointer + (token * tiles + tile) * layout.c.pointee.signs
  }
}
