import Estimator

/// What a run learns with where optimizer, schedule and rate are left out: docs/defaults.md has the table and its evidence.
///
/// Each function takes a configuration in which all that it depends on is settled, in the order in which they stand here.
enum Recipe {
  static let sgdRate = 0.1
  static let normalizedRate = 0.16
  /// By adam over whole contexts.
  static let exactRate = 0.005
  /// By adam over short windows.
  static let truncatedRate = 0.02
  /// By muon; a constant rate leaves more noise at the end of a long run.
  static let muonRates = (falling: 0.08, constant: 0.04)
  static let adamMomentum = 0.9
  /// Muon's mean gradient is not divided by anything that would damp it.
  static let muonMomentum = 0.95
  static let truncatedTableRate = 3.0
  static let nodeTableRate = 5.0

  static func optimizer(_ c: RunConfiguration) -> OptimizerKind {
    c.estimator.isExact ? .muon : .adam
  }

  static func momentum(_ c: RunConfiguration) -> Double { c.optimizer == .muon ? muonMomentum : adamMomentum }

  /// A rate can only fall to an end that is known; one that is searched for is lowered by the search. What has not been measured with a
  /// falling rate keeps its constant one.
  static func schedule(_ c: RunConfiguration, searchesRate: Bool) -> ScheduleKind {
    let hasEnd = RunLimits(c, trainingTokens: c.isPipe ? nil : 1).hasEnd
    return isMeasuredFalling(c) && !searchesRate && hasEnd ? .cosine : .constant
  }

  private static func isMeasuredFalling(_ c: RunConfiguration) -> Bool {
    guard c.estimator.isExact else { return false }
    return c.optimizer == .muon || c.optimizer == .adam && c.estimator != .bptt
  }

  static func weightDecay(_ c: RunConfiguration) -> Double {
    guard isMeasuredFalling(c) else { return 0 }
    return c.optimizer == .muon ? 0.05 : 0.1
  }

  /// nil: 1.
  static func tableRate(_ c: RunConfiguration) -> Double? {
    switch (c.estimator, c.optimizer) {
    case (_, .sgd): nil
    case (.tbptt, _), (.hybrid, _), (.bptt, .muon): truncatedTableRate
    case (.node, _): nodeTableRate
    case (.cdRGE, _), (.fdRGE, _), (.jvp, _), (.nres, _), (.pes, _), (.bptt, .adam): nil
    }
  }

  static func rate(_ c: RunConfiguration) -> Double {
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
    let ofAllPairs = c.estimator == .node ? 0.004 : 0.01
    return ofAllPairs * (Double(c.pairs) / 256).squareRoot()
  }
}

extension RunConfiguration {
  var defaultRate: Double { Recipe.rate(self) }
}
