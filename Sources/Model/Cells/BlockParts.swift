import CLongzooKernels

/// The other parts of a block; none of them knows the past.
extension Cell {
  /// σ(a)·c: a the row, c the cell's h.
  static let opening = Cell("opening", LZ_CELL_opening, biases: [0], help: "")
  /// h is the row itself. The first stage of a model with an embedding is one of these.
  static let linear = Cell("linear", LZ_CELL_linear, biases: [0], isBounded: false, help: "")
  /// c·silu(a): a the row, c the cell's h.
  static let gating = Cell("gating", LZ_CELL_gating, biases: [0], isBounded: false, help: "")
  /// x + a: a the row, x the h that the block began with.
  static let residual = Cell("residual", LZ_CELL_residual, biases: [0], isBounded: false, help: "")
  /// x/√(mean x² + 10⁻⁶), without rows.
  static let norm = Cell("norm", LZ_NORM, biases: [], help: "")
}
