import Memory
import Model

/// The exact gradient of the readout, summed online: ∂L_t/∂W = (p_t − y_t)·h_tᵀ needs no memory of the past.
///
/// p and h are the means over both columns of a pair. The rows of a chunk of tokens are kept, and enter the sum as one
/// GEMM; so memory grows with the chunk and not with the window.
final class ReadoutGradient {
  private let layout: Layout
  private let rowsPerToken: Int
  private let delta: Buffer<Float>  // [chunk · pairs][deltaStride]
  private let input: Buffer<Float>  // [chunk · pairs][inputStride], the last used column is 1: the bias
  private let sum: Buffer<Float>  // [V][inputStride]
  private var isEmpty = true

  /// Rows of the sum that one GEMM computes; fixed, so that the result does not depend on the threads.
  private static let panel = 64

  static func byteCount(for layout: Layout, pairs: Int, chunk: Int) -> Int {
    guard layout.exactReadout else { return 0 }
    let rows = chunk * Population.tiles(pairs) * Tile.pairs
    return Buffer<Float>.byteCount(for: rows * layout.deltaStride)
      + Buffer<Float>.byteCount(for: rows * layout.inputStride)
      + Buffer<Float>.byteCount(for: layout.shape.vocabularySize * layout.inputStride)
  }

  init(_ layout: Layout, pairs: Int, chunk: Int, ledger: MemoryLedger) throws(MemoryError) {
    self.layout = layout
    rowsPerToken = Population.tiles(pairs) * Tile.pairs
    let rows = chunk * rowsPerToken
    let purpose = "the exact readout's rows"
    delta = try Buffer(count: rows * layout.deltaStride, .activations, for: purpose, ledger: ledger)
    input = try Buffer(count: rows * layout.inputStride, .activations, for: purpose, ledger: ledger)
    sum = try Buffer(
      count: layout.shape.vocabularySize * layout.inputStride, .activations, for: "the readout's gradient",
      ledger: ledger)
  }

  var rows: ReadoutRows { ReadoutRows(delta: delta.pointer, input: input.pointer) }

  /// Adds the rows of a chunk of `tokens` tokens.
  func accumulate(tokens: Int, on pool: ThreadPool) {
    let vocabulary = layout.shape.vocabularySize
    let accumulate = !isEmpty
    pool.run((vocabulary + Self.panel - 1) / Self.panel) { panel, _ in
      let first = panel * Self.panel
      GEMM.transposedTimes(
        m: min(Self.panel, vocabulary - first), n: layout.shape.hiddenSize + 1, k: tokens * rowsPerToken,
        delta.pointer + first, lda: layout.deltaStride, input.pointer, ldb: layout.inputStride,
        into: sum.pointer + first * layout.inputStride, ldc: layout.inputStride, accumulate: accumulate)
    }
    isEmpty = false
  }

  /// Writes scale · the sum to the gradient's readout and bias, and begins anew.
  func finish(scale: Float, into gradient: UnsafeMutablePointer<Float>, on pool: ThreadPool) {
    let weights = layout.shape.slice(.readout)
    let bias = layout.shape.slice(.readoutBias)
    pool.run((weights.rows + Self.panel - 1) / Self.panel) { panel, _ in
      for row in panel * Self.panel..<min(weights.rows, (panel + 1) * Self.panel) {
        let from = sum.pointer + row * layout.inputStride
        let to = gradient + weights.offset + row * weights.columns
        for column in 0..<weights.columns { to[column] = scale * from[column] }
        gradient[bias.offset + row] = scale * from[weights.columns]
      }
    }
    isEmpty = true
  }

  /// Forgets the sum of a window that is refused.
  func discard() { isEmpty = true }
}
