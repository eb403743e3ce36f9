import LongzooMemory
import LongzooModel

extension CDRGE {
  public struct Configuration: Sendable {
    public var pairs: Int
    public var epsilon: Float
    public var kind: DirectionKind
    public var exactReadout: Bool
    /// Windows for which a direction is kept.
    public var lifetime: Int
    /// Positions in the data; pair p reads stream ⌊p·S/P⌋.
    public var streams: Int
    /// The most tokens that `consume` is given at a time.
    public var chunk: Int
    public var seed: UInt64
    /// The weights exist once, in the kernels' order, and the estimate is applied to them without being written down.
    public var inPlace = false
    public var step = StepRule.gradient
    public var method = PopulationMethod.central
    /// Pairs whose states are further apart than this go back to the clean state: rms(h₊ − h₋)/rms(h). 0: none does.
    public var maxDivergence: Float = 0
    /// Windows of which one has its estimate measured.
    public var measuredEvery = 1
    /// False where every window begins with zero states and fits into one chunk.
    public var carriesStates = true

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
