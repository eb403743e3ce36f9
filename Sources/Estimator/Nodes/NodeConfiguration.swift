extension NodePerturbation {
  public struct Configuration: Sendable {
    public var pairs: Int
    public var epsilon: Float
    /// γ, in 0 ... 1.
    public var creditDecay: Float
    /// False: the readout learns from moved logits.
    public var exactReadout: Bool
    /// The most tokens of a window, K; less than 2¹⁶.
    public var window: Int
    /// Positions in the data; pair p reads stream ⌊p·S/P⌋.
    public var streams: Int
    /// The most tokens that `consume` is given at a time.
    public var chunk: Int
    public var seed: UInt64
    /// Windows of which one has its estimate measured.
    public var measuredEvery = 1

    public init(
      pairs: Int, epsilon: Float, creditDecay: Float = 1, exactReadout: Bool = true, window: Int,
      streams: Int = 1,
      chunk: Int, seed: UInt64
    ) {
      self.pairs = pairs
      self.epsilon = epsilon
      self.creditDecay = creditDecay
      self.exactReadout = exactReadout
      self.window = window
      self.streams = streams
      self.chunk = chunk
      self.seed = seed
    }
  }
}
