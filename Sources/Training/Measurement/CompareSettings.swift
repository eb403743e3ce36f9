import LongzooEstimator

/// What all cells of a comparison have in common, and what is measured of them.
package struct CompareSettings: Sendable {
  package static let defaultBudget = 64 << 20

  /// Data, model, streams, seed and evaluation: all that does not depend on the method. It is not settled.
  package var common = RunPlan()
  package var contexts: [Int] = []
  package var methods = CompareMethod.usual
  /// Pairs of the methods that have any.
  package var pairs = EstimatorFamily.standard.defaults.pairs
  /// Tokens between updates of the methods that update within a context; nil: their defaults.
  package var window: Int?
  /// Bytes that binomial checkpointing may take.
  package var budget = defaultBudget
  /// Seconds of training in a cell.
  package var seconds = 10.0
  /// Updates after which losses are compared.
  package var steps = 10
  /// Token-columns, over all streams, after which losses are compared.
  package var tokenColumns = 200_000
  /// Seconds of measuring a cosine with the exact gradient; what would take longer is left out. 0: none are measured.
  package var cosineSeconds = 10.0
  /// Wall seconds for all cells together.
  package var limit = 570.0

  package init() {}

  package var streams: Int { common.streaming.streams }
}
