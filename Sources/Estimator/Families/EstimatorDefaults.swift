/// What a family is told where nobody says.
public struct EstimatorDefaults: Equatable, Sendable {
  /// Pairs for data that are there; those of a pipe are `pipePairs`.
  public var pairs = 256
  /// Pairs for a pipe, one stream that comes at its own pace: a hundred columns for each of its tokens are slow. 400 tokens a second
  /// on two cores with 256 pairs, ten thousand with 16, at nearly the loss (Benchmarks/notes/pipe-defaults.md).
  public var pipePairs = 16
  /// Whether more streams than `pairs` get a pair each.
  public var raisesPairsToStreams = false
  /// ε where the readout's gradient is exact.
  public var epsilon = 0.2
  /// ε where the readout is estimated too; nil: `epsilon`.
  public var epsilonOfEstimatedReadout: Double?
  /// Windows for which a pair keeps its direction.
  public var lifetime = 1
  /// The divergence beyond which a pair goes back to the clean state; 0: none does.
  public var maxDivergence = 1.8
  /// Tokens between updates.
  public var window = WindowChoice.tokens(8)
  /// Tokens over which states are carried.
  public var context = 1_000_000
  /// Context of a pipe. One stream meets the zero state only where it is reset, and never otherwise. A model that had read 200,000 tokens without
  /// could not begin anew, with 50 bits a token held out where it had 3.3 in training.
  public var pipeContext = 1000
  /// Tokens of a stream that a run without limits goes through at least, however short its contexts are.
  public var tokensOfRun = 0
  /// Streams, where pairs do not bound them; nil: a stream for every pair, and without pairs one.
  public var mostStreams: Int?

  /// ε under a kind of readout.
  public func epsilon(readout: ReadoutKind) -> Double {
    readout == .zo ? epsilonOfEstimatedReadout ?? epsilon : epsilon
  }
}
