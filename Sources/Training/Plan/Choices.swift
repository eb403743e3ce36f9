import LongzooEstimator
import LongzooModel

/// Which directions pairs move along; the rank says the rest.
public enum Perturbation: String, CaseIterable, Codable, Sendable {
  /// Signs a·bᵀ of two vectors, or a sum of such products.
  case rank1
  /// A sign for every weight.
  case rademacher
  /// A standard normal number for every parameter.
  case gaussian

  package func directions(rank: Int) -> DirectionKind {
    switch self {
    case .rank1: .products(rank)
    case .rademacher: .rademacher
    case .gaussian: .gaussian
    }
  }
}

public enum CellKind: String, CaseIterable, Codable, Sendable {
  case lstm
}

/// What exact back-propagation keeps of its window.
public enum CheckpointingChoice: Codable, Equatable, Sendable {
  /// Everything.
  case none
  case sqrt
  /// As many states as the memory budget has room for.
  case binomial
  /// Segments of so many tokens.
  case every(Int)
}

/// How the readout is trained.
public enum ReadoutKind: String, CaseIterable, Codable, Sendable {
  /// Estimated like all other parameters.
  case zo
  /// Its gradient summed online.
  case exact
}

/// When states go back to zero.
public enum ResetKind: String, CaseIterable, Codable, Sendable {
  /// Every stream after a context of its own.
  case context
  /// All streams at the same time.
  case together
  case never
}

/// How a run's weights are kept.
public enum Regime: String, Codable, Sendable {
  /// Parameters, their packed copy, a gradient, an optimizer, an average.
  case shared
  /// The packed weights only.
  case inPlace = "inplace"
}

/// When checkpoints are written.
public enum SaveChoice: Codable, Equatable, Sendable {
  /// After so many updates; 0: at the end only.
  case updates(Int)
  /// No file of weights at all.
  case never
}

/// Tokens between updates.
public enum WindowChoice: Codable, Equatable, Sendable {
  case tokens(Int)
  /// One update a context.
  case context

  /// nil for a whole context.
  package var tokens: Int? { if case .tokens(let count) = self { count } else { nil } }
}
