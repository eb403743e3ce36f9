/// When a run looks for its rate and its ε: at its start, and whenever the loss has stood still.
struct RatePlan: Codable, Equatable {
  /// Found by the last search; nil before the first.
  private(set) var rate: Double?
  /// nil in runs of before ε could be searched for, too.
  private(set) var epsilon: Double?
  private(set) var searches = 0
  private var wait = firstWait
  private var slowLoss: Double?
  private var best: Double?
  private var bestStep = 0

  /// Updates without progress that are a plateau; twice as many after a search that has changed nothing.
  static let firstWait = 6000
  private static let slowWeight = 0.002
  private static let progressPart = 0.005

  func isDue(step: Int) -> Bool { searches == 0 || step >= bestStep + wait }

  mutating func add(loss: Double?, step: Int) {
    guard let loss, loss.isFinite else { return }
    let now = slowLoss.map { $0 + Self.slowWeight * (loss - $0) } ?? loss
    slowLoss = now
    if best.map({ now < $0 * (1 - Self.progressPart) }) ?? true { (best, bestStep) = (now, step) }
  }

  mutating func take(_ values: TrialValues, step: Int) {
    let isSame = values.rate == rate && values.epsilon == epsilon ?? values.epsilon
    if searches > 0 { wait = isSame ? 2 * wait : Self.firstWait }
    (rate, epsilon) = (values.rate, values.epsilon)
    searches += 1
    bestStep = step
    best = slowLoss
  }
}
