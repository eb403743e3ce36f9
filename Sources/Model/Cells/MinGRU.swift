import CLongzooKernels

extension Cell {
  /// The minimal gated recurrent unit (Feng et al. 2024, arXiv 2410.01201): h = (1 − σ(z))·h⁻ + σ(z)·v. Rows z v, one state. Gates see the
  /// input alone, so that back-propagation makes its products of a whole window at once; it takes blocks to be worth it.
  ///
  /// Units begin by remembering for from one token to some 150: the biases of z go from 1 to −5.
  public static let mingru = Cell(
    "mingru", LZ_CELL_mingru, biases: [0, 0], spread: (0, Spread(first: 1, last: -5)),
    memory: MemoryGates(keep: nil, admit: 0), isBounded: false,
    help: "minimal gated unit, element-wise: quick by tbptt, in two layers or more")
}
