import LongzooEstimator

/// What a run learns with where optimizer, schedule and rate are left out: docs/defaults.md has the table and its evidence.
///
/// Each function takes a configuration in which all that it depends on is settled, in the order in which they stand here.
package enum Recipe {
  package static let sgdRate = 0.1
  package static let normalizedRate = 0.16
  /// By adam over whole contexts.
  package static let exactRate = 0.005
  /// By adam over short windows, of plain layers, and of residual blocks and dnc.
  package static let (truncatedRate, residualRate) = (0.02, 0.004)
  /// By muon, residual blocks and dnc half of it; a constant rate leaves more noise at the end of a long run.
  package static let muonRates = (falling: 0.08, constant: 0.04)
  /// Muon's mean gradient is not divided by anything that would damp it.
  package static let muonMomentum = 0.95
  /// A run of pairs that is no longer than this learns by muon.
  package static let (shortUpdates, shortSeconds) = (16_000, 60.0)
  package static let truncatedTableRate = 3.0
  package static let nodeTableRate = 5.0

  /// Whether the rate is to fall where nobody says: only to an end that is known, and where that was measured. A rate that is searched
  /// for is lowered by the search.
  package static func falls(_ c: RunPlan) -> Bool {
    guard !c.optimizer.searchesRate, RunLimits(c, trainingTokens: c.data.isPipe ? nil : 1).hasEnd else {
      return false
    }
    if c.optimizer.kind == .muon { return c.estimator.family.isExact || isMeasuredPairs(c) }
    return c.optimizer.kind == .adam && (c.estimator.family == .tbptt || c.estimator.family == .hybrid)
  }

  package static func optimizer(_ c: RunPlan, schedule: ScheduleKind?)
    -> OptimizerKind
  {
    if c.estimator.family.isExact { return .muon }
    guard isMeasuredPairs(c) else { return .adam }
    var byMuon = c
    byMuon.optimizer.kind = .muon
    let isFalling = schedule.map { $0 != .constant } ?? falls(byMuon)
    return isFalling ? .muon : .adam
  }

  /// The pairs that muon was measured with. Longer credit, and a readout that is estimated too, have noise of another kind; in longer runs
  /// adam has caught up, and decay may hold muon back.
  private static func isMeasuredPairs(_ c: RunPlan) -> Bool {
    c.estimator.family == .cdRGE && c.run.regime == .shared && c.estimator.readout == .exact
      && c.estimator.step == .gradient
      && c.estimator.lifetime == 1
      && c.streaming.window != .context && !c.data.isPipe && isShort(c)
  }

  /// Whether a limit ends the run within as many updates, or seconds, as muon was measured for with pairs.
  private static func isShort(_ c: RunPlan) -> Bool {
    let tokens = c.limits.maxTokens.map { $0 / max(1, c.streaming.streams) / max(1, c.tokensOfWindow) }
    let isWithinUpdates = [c.limits.maxSteps, tokens].contains { $0.map { $0 <= shortUpdates } ?? false }
    return isWithinUpdates || c.limits.maxSeconds.map { $0 <= shortSeconds } ?? false
  }

  private static func isPairsByMuon(_ c: RunPlan) -> Bool {
    c.optimizer.kind == .muon && c.optimizer.schedule != .constant && isMeasuredPairs(c)
  }

  package static func momentum(_ c: RunPlan) -> Double {
    c.optimizer.kind == .muon ? muonMomentum : Optimizer.Configuration().momentum
  }

  package static func weightDecay(_ c: RunPlan) -> Double {
    guard c.optimizer.kind != .sgd else { return 0 }
    guard c.estimator.family.isExact else { return isPairsByMuon(c) ? 0.01 : 0 }
    if c.optimizer.kind == .muon { return 0.05 }
    return c.estimator.family == .bptt ? 0 : 0.1
  }

  package static func tableRate(_ c: RunPlan) -> Double {
    guard c.optimizer.kind != .sgd else { return 1 }
    if c.estimator.family == .node { return nodeTableRate }
    let isMeasured = c.estimator.family.isExact && (c.estimator.family != .bptt || c.optimizer.kind == .muon)
    return isMeasured ? truncatedTableRate : 1
  }

  package static func rate(_ c: RunPlan) -> Double {
    if c.estimator.step == .polyak { return 1 }
    if c.estimator.step == .normalized || c.estimator.step == .clipped, c.optimizer.kind == .sgd {
      return normalizedRate * (1 - c.optimizer.momentum) * Double(c.estimator.pairs) / 256
    }
    if c.optimizer.kind == .sgd { return sgdRate }
    return c.estimator.family.isExact ? rateOfExact(c) : rateOfEstimates(c)
  }

  private static func rateOfExact(_ c: RunPlan) -> Double {
    // Norms make a step go further.
    let isNormed = c.model.block == .residual || c.model.cell.isWholeModel
    if c.optimizer.kind == .muon {
      let rate = c.optimizer.schedule == .constant ? muonRates.constant : muonRates.falling
      return isNormed ? rate / 2 : rate
    }
    if c.estimator.family == .bptt { return exactRate }
    return isNormed ? residualRate : truncatedRate
  }

  /// An estimate from twice as many pairs has √½ of the noise, and bears a rate √2 as high.
  private static func rateOfEstimates(_ c: RunPlan) -> Double {
    let ofAllPairs = isPairsByMuon(c) ? 0.04 : c.estimator.family == .node ? 0.004 : 0.01
    return ofAllPairs * (Double(c.estimator.pairs) / 256).squareRoot()
  }
}

extension RunPlan {
  package var defaultRate: Double { Recipe.rate(self) }
}
