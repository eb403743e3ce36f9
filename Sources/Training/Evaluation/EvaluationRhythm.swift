/// When a run measures its held-out tokens on the way: often enough to find its best weights, and for at most a tenth of its
/// time.
///
/// Where the run's length is known in updates, so are the updates that are measured: the same run keeps the same weights again.
package struct EvaluationRhythm {
  /// Evaluations of a run.
  private static let times = 20
  /// Seconds of training for one of evaluation.
  private static let trainingShare = 10
  /// Token-columns of training that take about as long as one evaluated token, which has a column of its own. Measured on two
  /// cores: 4 at 64 units, 8 at 256.
  private static let columnsPerToken = 8

  private enum Kind: Equatable {
    case never
    case updates(Int)
    case seconds(Double)
  }

  private let kind: Kind
  private let evaluatedTokens: Int
  private var lastSeconds: Double
  /// Seconds of the last evaluation.
  private var duration: Double?

  /// - Parameters:
  ///   - heldOutTokens: nil where they are not counted.
  ///   - seconds: of training that the run has behind it.
  package init(_ c: RunPlan, _ limits: RunLimits, heldOutTokens: Int?, seconds: Double) {
    let most = c.evaluatedTokens > 0 ? c.evaluatedTokens : .max
    evaluatedTokens = min(most, heldOutTokens ?? ExecutionPlan.defaultEvaluatedTokens)
    lastSeconds = seconds
    kind = Self.kind(c, limits, evaluatedTokens)
  }

  private static func kind(_ c: RunPlan, _ limits: RunLimits, _ evaluatedTokens: Int) -> Kind {
    guard c.data.hasHeldOut, c.run.evalInterval != 0 else { return .never }
    if let interval = c.run.evalInterval { return .updates(interval) }
    if let seconds = c.limits.maxSeconds { return .seconds(seconds / Double(times)) }
    let update = RunLimits.product(max(1, c.tokensOfWindow), c.columns, c.estimator.family.isExact ? 3 : 1)
    let cost = RunLimits.product(evaluatedTokens, columnsPerToken, trainingShare) / update
    return .updates(max(1, cost, (limits.totalUpdates ?? 0) / times))
  }

  /// - Parameters:
  ///   - seconds: of training.
  ///   - columnsPerSecond: the pace of training, in token-columns.
  package func isDue(step: Int, seconds: Double, columnsPerSecond: Double) -> Bool {
    switch kind {
    case .never: return false
    case .updates(let interval): return step % interval == 0
    case .seconds(let interval):
      let expected = expectedSeconds(tokens: evaluatedTokens, columnsPerSecond: columnsPerSecond)
      return seconds - lastSeconds >= max(interval, Double(Self.trainingShare) * expected)
    }
  }

  /// What an evaluation of so many tokens will take.
  package func expectedSeconds(tokens: Int, columnsPerSecond: Double) -> Double {
    if let duration { return duration * Double(tokens) / Double(max(1, evaluatedTokens)) }
    return Double(tokens) * Double(Self.columnsPerToken) / max(1, columnsPerSecond)
  }

  /// An evaluation of `evaluatedTokens` has ended.
  package mutating func note(seconds: Double, duration: Double) {
    lastSeconds = seconds
    self.duration = duration
  }
}
