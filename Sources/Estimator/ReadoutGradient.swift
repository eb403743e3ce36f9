import LongzooMemory
import LongzooModel

/// The exact gradient of the readout, summed online: ∂L_t/∂W = (p_t − y_t)·h_tᵀ needs no memory of the past.
///
/// p and h are the means over both columns of a pair. What a chunk of tokens leaves is kept, and enters the sum as one
/// product; so memory grows with the chunk and not with the window. No split into chunks changes a bit of the sum.
final class ReadoutGradient {
  private let layout: Layout
  private let tiles: Int
  private let instructions: Instructions
  private let delta: Buffer<Float>  // [chunk][tiles][deltaTile]
  private let input: Buffer<Float>  // [chunk][tiles][inputTile]
  private let sum: Buffer<Float>  // [V padded][H padded]
  private let biasSum: Buffer<Float>  // [V padded][16]
  private var isEmpty = true

  private var blocks: Int { layout.paddedVocabulary / Tile.blockRows }

  static func byteCount(for layout: Layout, pairs: Int, chunk: Int) -> Int {
    guard layout.exactReadout else { return 0 }
    let tiles = chunk * Population.tiles(pairs)
    return Buffer<Float>.byteCount(for: tiles * layout.deltaTile)
      + Buffer<Float>.byteCount(for: tiles * layout.inputTile)
      + Buffer<Float>.byteCount(for: layout.paddedVocabulary * layout.paddedInputs)
      + Buffer<Float>.byteCount(for: layout.paddedVocabulary * Tile.pairs)
  }

  init(
    _ layout: Layout, pairs: Int, chunk: Int, instructions: Instructions, ledger: MemoryLedger
  ) throws(MemoryError) {
    self.layout = layout
    self.instructions = instructions
    tiles = Population.tiles(pairs)
    let purpose = "the exact readout's rows"
    delta = try Buffer(count: chunk * tiles * layout.deltaTile, .activations, for: purpose, ledger: ledger)
    input = try Buffer(count: chunk * tiles * layout.inputTile, .activations, for: purpose, ledger: ledger)
    sum = try Buffer(
      count: layout.paddedVocabulary * layout.paddedInputs, .activations, for: "the readout's gradient",
      ledger: ledger)
    biasSum = try Buffer(
      count: layout.paddedVocabulary * Tile.pairs, .activations, for: "the readout's gradient", ledger: ledger
    )
  }

  var rows: ReadoutRows { ReadoutRows(delta: delta.pointer, input: input.pointer) }

  /// Adds the rows of a chunk of `tokens` tokens.
  func accumulate(tokens: Int, on pool: ThreadPool) {
    let shares = min(blocks, 4 * pool.threads)
    pool.run(shares) { share, _ in
      let mine = blocks * share / shares..<blocks * (share + 1) / shares
      if isEmpty { clear(mine) }
      instructions.readoutGradient(
        layout, rows, tiles: tokens * tiles, blocks: mine, sum: sum.pointer, bias: biasSum.pointer)
    }
    isEmpty = false
  }

  private func clear(_ blocks: Range<Int>) {
    let (first, count) = (blocks.lowerBound * Tile.blockRows, blocks.count * Tile.blockRows)
    (sum.pointer + first * layout.paddedInputs).update(repeating: 0, count: count * layout.paddedInputs)
    (biasSum.pointer + first * Tile.pairs).update(repeating: 0, count: count * Tile.pairs)
  }

  /// Writes scale · the sum to the gradient's readout and bias, and begins anew.
  func finish(scale: Float, into gradient: UnsafeMutablePointer<Float>, on pool: ThreadPool) {
    let weights = layout.shape.slice(.readout)
    let bias = layout.shape.slice(.readoutBias)
    pool.run(blocks) { block, _ in
      for row in block * Tile.blockRows..<min(weights.rows, (block + 1) * Tile.blockRows) {
        let from = sum.pointer + row * layout.paddedInputs
        let to = gradient + weights.offset + row * weights.columns
        for column in 0..<weights.columns { to[column] = scale * from[column] }
        let parts = biasSum.pointer + row * Tile.pairs
        var total: Float = 0
        for pair in 0..<Tile.pairs { total += parts[pair] }
        gradient[bias.offset + row] = scale * total
      }
    }
    isEmpty = true
  }

  /// Forgets the sum of a window that is refused.
  func discard() { isEmpty = true }
}
