import LongzooEstimator
import LongzooMemory
import LongzooModel

/// A way to train, as one of those that a comparison knows.
package enum CompareMethod: String, CaseIterable, Sendable {
  case cdRGE = "cd-rge"
  case bptt
  case bpttSqrt = "bptt-sqrt"
  case bpttBinomial = "bptt-binomial"
  case tbptt
  case jvp, nres, pes
  case fdRGE = "fd-rge"
  case node
  case hybrid

  /// One update sees all of its context: fewer updates, each the longer the longer the context.
  package var updatesOnceAContext: Bool {
    switch self {
    case .bptt, .bpttSqrt, .bpttBinomial: return true
    case .cdRGE, .fdRGE, .jvp, .nres, .pes, .node, .tbptt, .hybrid: return false
    }
  }

  /// What is compared where nobody says: one of each family.
  package static let usual: [CompareMethod] = [.cdRGE, .bptt, .bpttSqrt, .bpttBinomial, .tbptt, .hybrid]

  /// Its place among all methods: the same color in every plot.
  package var index: Int { Self.allCases.firstIndex(of: self)! }

  /// Tokens of a stream between updates.
  package func window(_ settings: CompareSettings, context: Int) -> Int {
    switch self {
    case .cdRGE, .fdRGE, .jvp, .nres, .pes, .node:
      min(context, settings.window ?? EstimatorFamily.standard.defaults.window.tokens ?? 8)
    case .tbptt, .hybrid: min(context, settings.window ?? EstimatorFamily.truncation)
    case .bptt, .bpttSqrt, .bpttBinomial: context
    }
  }

  /// Columns that a token of a stream goes through.
  package func columnsPerToken(_ settings: CompareSettings) -> Int {
    let (pairs, streams) = (settings.pairs, settings.streams)
    return switch self {
    case .cdRGE, .jvp, .nres, .pes, .node: max(1, 2 * pairs / streams)
    case .fdRGE: max(1, FDRGE.columns(pairs: pairs, streams: streams) / streams)
    case .bptt, .bpttSqrt, .bpttBinomial, .tbptt: 1
    case .hybrid: 1 + 2 * pairs / streams
    }
  }

  /// The plan of a cell: what all cells have in common, and what this method chooses. It is not settled, so that only what
  /// was chosen is given.
  package func plan(_ settings: CompareSettings, context: Int) -> RunPlan {
    var plan = settings.common
    plan.streaming.context = context
    switch self {
    case .cdRGE, .fdRGE, .jvp, .nres, .pes, .node, .hybrid:
      plan.estimator.family = EstimatorFamily(named: rawValue)!
      plan.estimator.pairs = settings.pairs
      if let window = settings.window { plan.streaming.window = .tokens(window) }
    case .tbptt:
      plan.estimator.family = .tbptt
      if let window = settings.window { plan.streaming.window = .tokens(window) }
    case .bptt: plan.takeWholeContext(.none)
    case .bpttSqrt: plan.takeWholeContext(.sqrt)
    case .bpttBinomial:
      plan.takeWholeContext(.binomial)
      plan.run.memoryBudget = settings.budget
    }
    return plan
  }
}

extension RunPlan {
  /// Exact gradients of a whole context.
  mutating func takeWholeContext(_ checkpointing: CheckpointingChoice) {
    estimator.family = .bptt
    estimator.checkpointing = checkpointing
    streaming.window = .context
  }

  /// A plan that a run could follow.
  /// - Throws: what is wrong with it, naming the setting.
  func ready() throws(RunFailure) -> RunPlan {
    var plan = self
    try plan.settle()
    try plan.refuseForeign()
    try plan.validate()
    return plan
  }
}
