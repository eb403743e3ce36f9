/// How back-propagation through time trades memory for recomputation. The gradient is the same, bit for bit.
public enum Checkpointing: Equatable, Sendable {
  /// All activations of the window are kept.
  case none
  /// Segments of ⌈√K⌉ tokens: the states between them and the activations of one are kept, every token is taken twice.
  case sqrt
  /// Likewise, with segments of so many tokens.
  case every(Int)
  /// So many states, at the places where they save the most (binomial checkpointing), and the activations of one block.
  case binomial(checkpoints: Int)
  /// All that the estimator reserves fits these bytes: no checkpointing if that does, else as many states as there is
  /// room for.
  case within(bytes: Int)
}
