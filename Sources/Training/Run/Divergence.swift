import LongzooMemory

/// How a run ended that went wrong.
package struct Divergence {
  /// Updates done when it was given up.
  package var step: Int
  package var finding: String
  package var rate: Double
  /// The step that the run was taken back to, and where its weights are; nil where no good ones were saved.
  package var good: (step: Int, path: String)?

  /// One sentence of what happened and one of what to change.
  package func message(_ c: RunPlan) -> Wording {
    let kept =
      good.map { "the weights of step \($0.step) are kept in \($0.path)" }
      ?? "no good weights of this run are on disk"
    var advice: Wording =
      "take a smaller \(.learningRate) than \(Text.short(rate)), such as \(Text.short(rate / 4))"
    if !c.estimator.family.isExact {
      advice += ", more \(.pairs) than \(c.estimator.pairs)"
      if c.estimator.family.takesDifferences { advice += ", or a smaller \(.epsilon)" }
    } else if c.estimator.clipNorm == 0 || c.estimator.clipNorm > 1 {
      advice += ", or \(.clipNorm) 1"
    }
    if good != nil { advice += "; \(.resume) goes on from there" }
    return "the run diverged at step \(step): \(finding); \(kept). To mend it, \(advice)."
  }
}
