import LongzooModel

/// What an estimator has to work on: the model, the data's layout and the machine, none of which it chooses.
public struct EstimatorWorkload: Equatable, Sendable {
  /// The model's sizes.
  public var shape: ModelShape
  /// Positions in the data that are read in parallel, B; with pairs at most as many as those.
  public var streams: Int
  /// The most tokens of a window, K.
  public var window: Int
  /// Whether a window is all of a context, however long that is.
  public var isWholeContext: Bool
  /// Tokens from reset to reset; nil: states are never reset.
  public var context: Int?
  /// What random directions are drawn from; exact gradients need none.
  public var seed: UInt64
  /// Threads that work on it.
  public var threads: Int
  /// Whether the weights exist once, in the kernels' order (`EstimatorFamily.worksInPlace`).
  public var inPlace: Bool
  /// Bytes that `CheckpointingChoice.binomial` may take; nil: any number.
  public var checkpointingBytes: Int?
  /// Windows of which one has its estimate measured.
  public var measuredEvery: Int
  /// Whether the gradient is taken in parts where it comes in such (`PartialGradientEstimator`).
  package var takesParts = false

  public init(
    shape: ModelShape, streams: Int = 1, window: Int, isWholeContext: Bool = false, context: Int? = nil,
    seed: UInt64, threads: Int = 1, inPlace: Bool = false, checkpointingBytes: Int? = nil,
    measuredEvery: Int = 1
  ) {
    self.shape = shape
    self.streams = streams
    self.window = window
    self.isWholeContext = isWholeContext
    self.context = context
    self.seed = seed
    self.threads = threads
    self.inPlace = inPlace
    self.checkpointingBytes = checkpointingBytes
    self.measuredEvery = measuredEvery
  }

  /// Tokens of a window whose length does not depend on the context; nil: a whole context.
  var fixedWindow: Int? { isWholeContext ? nil : window }
}
