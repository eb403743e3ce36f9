import LongzooMemory

/// When a run looks for its rate and its ε: at its start, and whenever the loss has stood still.
package struct RatePlan: Codable, Equatable {
  /// Found by the last search; nil before the first.
  package private(set) var rate: Double?
  /// nil in runs of before ε could be searched for, too.
  package private(set) var epsilon: Double?
  package private(set) var searches = 0
  private var wait = firstWait
  private var slowLoss: Double?
  private var best: Double?
  private var bestStep = 0

  /// Updates without progress that are a plateau; twice as many after a search that has changed nothing.
  package static let firstWait = 6000
  private static let slowWeight = 0.002
  private static let progressPart = 0.005

  /// Refuses what no search can have left.
  package func check(_ fields: DecodedFields) throws(RunFailure) {
    try fields.finite(rate, "progress.ratePlan.rate", atLeast: 0)
    try fields.finite(epsilon, "progress.ratePlan.epsilon", atLeast: Double(Float.leastNonzeroMagnitude))
    try fields.count(searches, "progress.ratePlan.searches")
    try fields.count(wait, "progress.ratePlan.wait", in: 1...DecodedFields.most)
    try fields.finite(slowLoss, "progress.ratePlan.slowLoss")
    try fields.finite(best, "progress.ratePlan.best")
    try fields.count(bestStep, "progress.ratePlan.bestStep")
  }

  package func isDue(step: Int) -> Bool { searches == 0 || step >= bestStep + wait }

  package mutating func add(loss: Double?, step: Int) {
    guard let loss, loss.isFinite else { return }
    let now = slowLoss.map { $0 + Self.slowWeight * (loss - $0) } ?? loss
    slowLoss = now
    if best.map({ now < $0 * (1 - Self.progressPart) }) ?? true { (best, bestStep) = (now, step) }
  }

  package mutating func take(_ values: TrialValues, step: Int) {
    let isSame = values.rate == rate && values.epsilon == epsilon ?? values.epsilon
    if searches > 0 { wait = isSame ? min(2 * wait, DecodedFields.most) : Self.firstWait }
    (rate, epsilon) = (values.rate, values.epsilon)
    searches += 1
    bestStep = step
    best = slowLoss
  }
}
