import LongzooModel

/// The gradient of an exact readout, summed while the tokens of a window come.
protocol ReadoutSum: AnyObject {
  /// Where the kernels leave what it is made of, for the next so many tokens.
  func rows(forTokens count: Int, on pool: ThreadPool) -> ReadoutRows

  /// Adds what a chunk has left there; a readout that is done apart adds to the population's losses as well.
  func accumulate(
    _ tokens: TokenBlock, of population: Population, _ weights: PackedWeights, on pool: ThreadPool)

  /// Writes scale · the sum to the gradient's readout and bias, and begins anew.
  func finish(scale: Float, into gradient: UnsafeMutablePointer<Float>, on pool: ThreadPool)

  /// Forgets the sum of a window that is refused.
  func discard()
}
