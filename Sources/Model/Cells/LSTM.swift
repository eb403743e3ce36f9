import CLongzooKernels

extension Cell {
  /// Long short-term memory with forget gates (Hochreiter and Schmidhuber 1997; Gers et al. 2000), `torch.nn.LSTM`. Rows i f g o, states
  /// h c. Forget gates begin open.
  public static let lstm = Cell(
    "lstm", LZ_CELL_lstm, biases: [0, 1, 0, 0], memory: MemoryGates(keep: 1, admit: 0),
    help: "long short-term memory, as torch.nn.LSTM")
}
