import CLongzooKernels

extension Cell {
  /// The gated recurrent unit (Cho et al. 2014) as `torch.nn.GRU` has it. Rows r z n, one state; n is late: the reset gate multiplies
  /// the product with the own state. Node perturbation does not know it: a late row is moved in two places.
  public static let gru = Cell(
    "gru", LZ_CELL_gru, biases: [0, 0, 0], memory: MemoryGates(keep: 1, admit: nil),
    scalars: [CellScalar(name: "bias_hh", values: Spread(first: 0, last: 0))],
    help: "gated recurrent unit, as torch.nn.GRU: three quarters of the weights of lstm")
}
