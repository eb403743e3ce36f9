import LongzooMemory
import LongzooModel

/// All that an estimator can be told, whichever family it is of: `EstimatorFamily.settings` says what means something to which.
///
/// The values of a new configuration are those of `EstimatorFamily.standard`; another family's are in its `defaults`.
public struct EstimatorConfiguration: Equatable, Sendable {
  private static let standard = EstimatorFamily.standard.defaults

  /// Pairs of perturbed models, P; of estimators that take derivatives or one-sided differences: directions.
  @Choice public var pairs = standard.pairs
  /// ε, what a perturbation is multiplied with; more than 0.
  @Choice public var epsilon = standard.epsilon
  /// What the pairs' directions are made of.
  @Choice public var perturbation = Perturbation.rank1
  /// Products in a direction of `Perturbation.rank1`, at least 1.
  @Choice public var rank = 1
  /// How long the step along an estimate is.
  @Choice public var step = StepRule.gradient
  /// Windows for which a pair keeps its direction, at least 1.
  @Choice public var lifetime = standard.lifetime
  /// Pairs whose states are further apart than this go back to the clean state, rms(h₊ − h₋)/rms(h); 0: none does.
  @Choice public var maxDivergence = standard.maxDivergence
  /// β of the running mean of what lies beyond the window, in 0 ..< 1; 0: no mean.
  @Choice public var beyondMomentum = 0.99
  /// γ, what a loss one token later is worth to a gate, in 0 ... 1.
  @Choice public var creditDecay = 0.7
  /// How the readout learns where pairs estimate the rest; exact gradients have it exact.
  @Choice public var readout = ReadoutKind.exact
  /// What back-propagation keeps of its window.
  @Choice public var checkpointing = CheckpointingChoice.none
  /// The largest norm of an exact gradient; 0: any.
  @Choice public var clipNorm = 1.0

  public init() {}

  /// The directions that pairs move along.
  public var directions: DirectionKind { perturbation.directions(rank: rank) }
}

/// What random directions of the weights are made of.
public enum Perturbation: String, CaseIterable, Codable, Sendable {
  /// Sums of products of signs, a·bᵀ.
  case rank1
  /// A sign for every weight.
  case rademacher
  /// A standard normal number for every weight.
  case gaussian

  /// - Parameter rank: products in a direction; of `rank1` only.
  public func directions(rank: Int) -> DirectionKind {
    switch self {
    case .rank1: .products(rank)
    case .rademacher: .rademacher
    case .gaussian: .gaussian
    }
  }
}

/// How the readout learns where pairs estimate the rest.
public enum ReadoutKind: String, CaseIterable, Codable, Sendable {
  /// Estimated like all other parameters.
  case zo
  /// Its gradient summed online.
  case exact
}

/// What back-propagation keeps of its window; `Checkpointing` has the bytes of `binomial` too.
public enum CheckpointingChoice: Codable, Equatable, Sendable {
  /// All activations.
  case none
  /// States about √K tokens apart, and the activations between two of them.
  case sqrt
  /// All activations if they fit `EstimatorWorkload.checkpointingBytes`; otherwise as many states as do, where
  /// they save the most.
  case binomial
  /// States so many tokens apart, rounded up to a multiple of 16, and the activations between two of them.
  case every(Int)
}

/// Tokens between updates.
public enum WindowChoice: Codable, Equatable, Sendable {
  /// So many, at least 1.
  case tokens(Int)
  /// All of a context.
  case context

  /// nil for a whole context.
  public var tokens: Int? { if case .tokens(let count) = self { count } else { nil } }
}
