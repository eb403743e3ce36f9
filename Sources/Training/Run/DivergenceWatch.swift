/// Whether a run has gone wrong for good, told by the losses of its windows alone.
///
/// A window is above if the recent loss is worse than the limit (by default a nat worse than guessing) and a nat worse than
/// the best that the run has seen. Fifty such windows running, or fifty updates running that had to be refused, are no accident any more.
package struct DivergenceWatch: Codable, Equatable {
  package static let patience = 50
  /// Nats above the best.
  package static let rise = 1.0
  /// Nats above the best from which weights are in doubt: it is not known yet where this will end.
  package static let doubt = 0.5
  private static let recentWeight = 0.1
  /// What lies above the best is slowly taken for normal: a stream may turn to something harder.
  private static let forgetting = 0.0005

  package private(set) var recent: Double?
  package private(set) var best: Double?
  package private(set) var windowsAbove = 0
  package private(set) var refusedRunning = 0

  /// After every window.
  /// - Parameters:
  ///   - loss: nats a token; nil where the update was refused.
  ///   - limit: nats a token; nil: no loss is too high.
  package mutating func add(loss: Double?, limit: Double?) {
    guard let loss else {
      refusedRunning += 1
      return
    }
    refusedRunning = 0
    let now = recent.map { $0 + Self.recentWeight * (loss - $0) } ?? loss
    recent = now
    let best = best.map { now < $0 ? now : $0 + Self.forgetting * (now - $0) } ?? now
    self.best = best
    windowsAbove = limit.map { now > $0 && now > best + Self.rise } ?? false ? windowsAbove + 1 : 0
  }

  package var isDiverged: Bool { windowsAbove >= Self.patience || refusedRunning >= Self.patience }

  /// Asked at a run's end, which may come before patience is over.
  package var endsDiverged: Bool { max(windowsAbove, refusedRunning) >= Self.patience / 5 }

  package var isInDoubt: Bool {
    guard refusedRunning == 0 else { return true }
    guard let recent, let best else { return false }
    return recent > best + Self.doubt
  }

  /// What was seen, as the beginning of a sentence.
  package var finding: String {
    if refusedRunning > windowsAbove {
      return "\(refusedRunning) updates running had to be refused, because losses were infinite or NaN"
    }
    return
      "the loss rose to \(Text.bits(recent)) bits a token, and had been \(Text.bits(best)) at its best"
  }
}
