import LongzooEstimator

/// What a run learns with where optimizer, schedule and rate are left out: docs/defaults.md has the table and its evidence.
///
/// Each function takes a configuration in which all that it depends on is settled, in the order in which they stand here.
package enum Recipe {
  package static let sgdRate = 0.1
  package static let normalizedRate = 0.16
  /// By adam over whole contexts.
  package static let exactRate = 0.005
  /// By adam over short windows.
  package static let truncatedRate = 0.02
  /// By muon; a constant rate leaves more noise at the end of a long run.
  package static let muonRates = (falling: 0.08, constant: 0.04)
  package static let adamMomentum = 0.9
  /// Muon's mean gradient is not divided by anything that would damp it.
  package static let muonMomentum = 0.95
  /// A run of pairs that is no longer than this learns by muon.
  package static let (shortUpdates, shortSeconds) = (16_000, 60.0)
  package static let truncatedTableRate = 3.0
  package static let nodeTableRate = 5.0

  /// Whether the rate is to fall where nobody says: only to an end that is known, and where that was measured. A rate that is searched
  /// for is lowered by the search.
  package static func falls(_ c: RunConfiguration, searchesRate: Bool) -> Bool {
    guard !searchesRate, RunLimits(c, trainingTokens: c.isPipe ? nil : 1).hasEnd else { return false }
    switch c.optimizer {
    case .muon: return c.estimator.isExact || isMeasuredPairs(c)
    case .adam: return c.estimator == .tbptt || c.estimator == .hybrid
    case .sgd: return false
    }
  }

  package static func optimizer(_ c: RunConfiguration, schedule: ScheduleKind?, searchesRate: Bool)
    -> OptimizerKind
  {
    if c.estimator.isExact { return .muon }
    guard isMeasuredPairs(c) else { return .adam }
    var byMuon = c
    byMuon.optimizer = .muon
    let isFalling = schedule.map { $0 != .constant } ?? falls(byMuon, searchesRate: searchesRate)
    return isFalling ? .muon : .adam
  }

  /// The pairs that muon was measured with. Longer credit, and a readout that is estimated too, have noise of another kind; in longer runs
  /// adam has caught up, and decay may hold muon back.
  private static func isMeasuredPairs(_ c: RunConfiguration) -> Bool {
    c.estimator == .cdRGE && c.regime == .shared && c.readout == .exact && c.step == .gradient
      && c.lifetime == 1
      && c.window != .context && !c.isPipe && isShort(c)
  }

  /// Whether a limit ends the run within as many updates, or seconds, as muon was measured for with pairs.
  private static func isShort(_ c: RunConfiguration) -> Bool {
    let tokens = c.maxTokens.map { $0 / max(1, c.streams) / max(1, c.tokensOfWindow) }
    let isWithinUpdates = [c.maxSteps, tokens].contains { $0.map { $0 <= shortUpdates } ?? false }
    return isWithinUpdates || c.maxSeconds.map { $0 <= shortSeconds } ?? false
  }

  private static func isPairsByMuon(_ c: RunConfiguration) -> Bool {
    c.optimizer == .muon && c.schedule != .constant && isMeasuredPairs(c)
  }

  package static func momentum(_ c: RunConfiguration) -> Double {
    c.optimizer == .muon ? muonMomentum : adamMomentum
  }

  package static func weightDecay(_ c: RunConfiguration) -> Double {
    switch (c.estimator, c.optimizer) {
    case (_, .sgd), (.bptt, .adam): 0
    case (.tbptt, .adam), (.hybrid, .adam): 0.1
    case (.tbptt, .muon), (.hybrid, .muon), (.bptt, .muon): 0.05
    case (.cdRGE, _), (.fdRGE, _), (.jvp, _), (.nres, _), (.pes, _), (.node, _): isPairsByMuon(c) ? 0.01 : 0
    }
  }

  /// nil: 1.
  package static func tableRate(_ c: RunConfiguration) -> Double? {
    switch (c.estimator, c.optimizer) {
    case (_, .sgd): nil
    case (.tbptt, _), (.hybrid, _), (.bptt, .muon): truncatedTableRate
    case (.node, _): nodeTableRate
    case (.cdRGE, _), (.fdRGE, _), (.jvp, _), (.nres, _), (.pes, _), (.bptt, .adam): nil
    }
  }

  package static func rate(_ c: RunConfiguration) -> Double {
    if c.step == .polyak { return 1 }
    if c.step == .normalized || c.step == .clipped, c.optimizer == .sgd {
      return normalizedRate * (1 - c.momentum) * Double(c.pairs) / 256
    }
    if c.optimizer == .sgd { return sgdRate }
    return c.estimator.isExact ? rateOfExact(c) : rateOfEstimates(c)
  }

  private static func rateOfExact(_ c: RunConfiguration) -> Double {
    if c.optimizer == .muon { return c.schedule == .constant ? muonRates.constant : muonRates.falling }
    return c.estimator == .bptt ? exactRate : truncatedRate
  }

  /// An estimate from twice as many pairs has √½ of the noise, and bears a rate √2 as high.
  private static func rateOfEstimates(_ c: RunConfiguration) -> Double {
    let ofAllPairs = isPairsByMuon(c) ? 0.04 : c.estimator == .node ? 0.004 : 0.01
    return ofAllPairs * (Double(c.pairs) / 256).squareRoot()
  }
}

extension RunConfiguration {
  package var defaultRate: Double { Recipe.rate(self) }
}
