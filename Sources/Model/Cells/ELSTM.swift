import CLongzooKernels

extension Cell {
  /// The element-wise LSTM (Irie et al. 2024, arXiv 2305.19044): z = tanh(W_z·x + w_z·c⁻), f = σ(W_f·x + w_f·c⁻),
  /// c = f·c⁻ + (1 − f)·z, and after it h = σ(W_o·x + U_o·c)·c. Rows z f, the state c, the scalars w_z w_f.
  ///
  /// Its states are bounded, but pairs learn it sooner by small moves.
  ///
  /// Units begin by remembering for from one token to some 150: the biases of f go from −1 to 5.
  public static let elstm = Cell(
    "elstm", LZ_CELL_elstm, biases: [0, 0], spread: (1, Spread(first: -1, last: 5)),
    memory: MemoryGates(keep: 1, admit: nil),
    scalars: ["weight_cz", "weight_cf"].map { CellScalar(name: $0, values: Spread(first: 0, last: 0)) },
    hasOutput: true, isBounded: false,
    help: "element-wise LSTM with an output gate that sees all units")
}
