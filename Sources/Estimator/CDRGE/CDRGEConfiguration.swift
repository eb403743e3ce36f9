import LongzooMemory
import LongzooModel

extension CDRGE {
  /// What an estimator with pairs is told.
  public struct Configuration: Sendable {
    /// Pairs of columns, P, at least one a stream; jvp and `FDRGE` have directions in their place.
    public var pairs: Int
    /// ε at the beginning, more than 0; jvp takes derivatives and does not use it.
    public var epsilon: Float
    /// What directions are made of.
    public var kind: DirectionKind
    /// Whether the readout is not moved: its gradient is summed exactly while tokens come. Not in place.
    public var exactReadout: Bool
    /// Windows for which a direction is kept, R, at least 1; unrolls (nres, pes) have a direction for each
    /// context or window.
    public var lifetime: Int
    /// Positions in the data, S; pair p reads stream ⌊p·S/P⌋.
    public var streams: Int
    /// The most tokens that `consume` is given at a time.
    public var chunk: Int
    /// Directions are functions of it, the tile and the window: equal seeds draw equal directions on any
    /// machine.
    public var seed: UInt64
    /// The weights exist once, in the kernels' order, and the estimate is applied to them without being written down.
    /// Rank-one directions only.
    public var inPlace = false
    /// How long the step is; pes has no slopes along single directions, and takes no `StepRule.polyak`.
    public var step = StepRule.gradient
    /// What pairs estimate, and when they take new directions.
    public var method = PopulationMethod.central
    /// Pairs whose states are further apart than this go back to the clean state: rms(h₊ − h₋)/rms(h). 0: none does.
    public var maxDivergence: Float = 0
    /// Windows of which one has its estimate measured.
    public var measuredEvery = 1
    /// Whether no window has more tokens than a chunk.
    public var isWindowWhole = false
    /// Whether whoever takes the gradient takes it in parts (`PartialGradientEstimator`) where `CDRGE` finds that worth it.
    public var givesParts = false
    /// Whether an exact readout is done apart (`ReadoutApart`); nil: where the vocabulary is large. For tests and measurements.
    package var isApart: Bool?
    /// False where every window begins with zero states and fits into one chunk.
    public var carriesStates = true

    /// Central differences that carry their states, with weights kept elsewhere; what else there is, is set
    /// afterwards.
    public init(
      pairs: Int, epsilon: Float, kind: DirectionKind = .rank1, exactReadout: Bool, lifetime: Int = 1,
      streams: Int = 1, chunk: Int, seed: UInt64
    ) {
      self.pairs = pairs
      self.epsilon = epsilon
      self.kind = kind
      self.exactReadout = exactReadout
      self.lifetime = lifetime
      self.streams = streams
      self.chunk = chunk
      self.seed = seed
    }
  }
}
