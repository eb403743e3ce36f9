import CLongzooKernels

extension Cell {
  /// Elman's network (1990), `torch.nn.RNN`: one row, one state, h = tanh a. Forgets within some tens of tokens.
  public static let elman = Cell(
    "elman", LZ_CELL_elman, biases: [0], help: "one tanh a unit, as torch.nn.RNN; forgets soon")

  /// The same with h = max(a, 0). Its states are not bounded: rates that serve others may let it diverge.
  public static let relu = Cell(
    "relu", LZ_CELL_relu, biases: [0], isBounded: false,
    help: "elman with a rectifier instead of the tanh; its states are not bounded")
}
