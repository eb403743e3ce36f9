import CLongzooKernels

extension Cell {
  /// The sLSTM of xLSTM (arXiv 2405.04517) in the form of FlashRNN (arXiv 2412.07752): exponential gates, a normalizer and a stabilizer.
  /// Rows i f z o, states h c n m. Forget gates begin half open:
  /// with a bias of 1 or 3 text is learnt more slowly.
  public static let slstm = Cell(
    "slstm", LZ_CELL_slstm, biases: [0, 0, 0, 0], help: "xLSTM's cell with exponential gates, as in FlashRNN")
}
