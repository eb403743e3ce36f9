import Estimator

/// What a run learns with where optimizer, schedule and rate are left out: docs/defaults.md has the table and its evidence.
///
/// Each function takes a configuration in which all that it depends on is settled, in the order in which they stand here.
enum Recipe {
  static let sgdRate = 0.1
  static let normalizedRate = 0.16
  /// By adam over whole contexts.
  static let exactRate = 0.005
  static let truncatedRate = 0.02
  static let adamMomentum = 0.9
  /// Muon's mean gradient is not divided by anything that would damp it.
  static let muonMomentum = 0.95
  static let truncatedTableRate = 3.0
  static let nodeTableRate = 5.0

  static func optimizer(_ c: RunConfiguration) -> OptimizerKind {
    c.estimator.isExact ? .muon : .adam
  }

  static func momentum(_ c: RunConfiguration) -> Double { c.optimizer == .muon ? muonMomentum : adamMomentum }

  /// A rate can only fall to an end that is known. Pairs are limited by how far they come, not by the noise at the end, and gain
  /// nothing; a rate that is searched for is lowered by the search; sgd has not been measured.
  static func schedule(_ c: RunConfiguration, searchesRate: Bool) -> ScheduleKind {
    let falls =
      c.estimator.isExact && c.optimizer != .sgd && !searchesRate
      && RunLimits(c, trainingTokens: c.isPipe ? nil : 1).hasEnd
    return falls ? .cosine : .constant
  }

  static func weightDecay(_ c: RunConfiguration) -> Double {
    guard c.estimator.isExact else { return 0 }
    switch c.optimizer {
    case .muon: return 0.05
    case .adam: return 0.1
    case .sgd: return 0
    }
  }

  /// nil: 1.
  static func tableRate(_ c: RunConfiguration) -> Double? {
    guard c.optimizer != .sgd else { return nil }
    switch c.estimator {
    case .tbptt, .hybrid: return truncatedTableRate
    case .node: return nodeTableRate
    case .cdRGE, .fdRGE, .jvp, .nres, .pes, .bptt: return nil
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
    let adam = c.estimator == .bptt ? exactRate : truncatedRate
    guard c.optimizer == .muon else { return adam }
    return (c.schedule == .constant ? 2 : 4) * adam
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
