import LongzooEstimator
import LongzooMemory

extension RunPlan {
  /// Refuses what somebody has chosen and the estimator, or the optimizer, does not heed.
  package func refuseForeign() throws(RunFailure) {
    for entry in Self.entries where entry.isGiven(self) && entry.isOfEstimator {
      // A search for ε is a way to tell ε.
      if let refusal = estimator.family.refusal(of: entry.setting ?? .epsilon) { throw .usage(refusal) }
    }
    if optimizer.$beta2.isGiven, optimizer.kind.moments < 2 {
      throw .usage("\(.beta2) means nothing to \(.optimizer) \(optimizer.kind.rawValue); leave it out")
    }
  }
}
