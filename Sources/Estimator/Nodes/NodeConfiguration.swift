extension NodePerturbation {
  /// What node perturbation is told.
  public struct Configuration: Sendable {
    /// Pairs of columns, P, at least one a stream.
    public var pairs: Int
    /// ε at the beginning, more than 0: of the gates' inputs, and of logits where those are moved too.
    public var epsilon: Float
    /// γ, what a loss one token later is worth to a gate, in 0 ... 1; 1: no bias.
    public var creditDecay: Float
    /// False: the readout learns from moved logits.
    public var exactReadout: Bool
    /// The most tokens of a window, K; less than 2¹⁶.
    public var window: Int
    /// Positions in the data, S; pair p reads stream ⌊p·S/P⌋.
    public var streams: Int
    /// The most tokens that `consume` is given at a time.
    public var chunk: Int
    /// Signs are functions of it, the token, the tile and the window.
    public var seed: UInt64
    /// Windows of which one has its estimate measured.
    public var measuredEvery = 1

    public init(
      pairs: Int, epsilon: Float, creditDecay: Float = 1, exactReadout: Bool = true, window: Int,
      streams: Int = 1, chunk: Int, seed: UInt64
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
