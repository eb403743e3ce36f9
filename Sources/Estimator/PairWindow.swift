import LongzooModel

/// The end of a window of pairs: what each of them lost becomes a coefficient, and together the window's loss, refusal and meters.
///
/// An estimate is Σ_p c_p·z_p over all pairs, and anybody can draw the directions z_p, which are functions of the seed. So one number a
/// pair is all that pairs have to tell each other. **This is the place where several machines will meet**: each runs some of the pairs
/// until here, `gather` gives every machine every pair's report, and from there on all of them do the same.
///
/// What is not a function of reports and directions is summed tile by tile, and those sums have to be exchanged as well: the exact
/// readout's (`ReadoutGradient`), node perturbation's gradient, and the clean states of a stream whose pairs are on several machines.
/// Two things are of each pair: the tokens that it has read, and how far apart its states are.
struct PairWindow {
  /// What a pair says of a window.
  struct Report {
    /// The sum of its losses over its targets, in nats: the unperturbed model's, or what stands for it.
    var loss: Double
    /// Its c_p, before any step rule.
    var coefficient = 0.0
  }

  let pairs: Int
  let targets: WindowTargets
  /// An exact readout, which has summed its gradient while the tokens came.
  let readout: (any ReadoutSum)?

  /// Targets of a pair. One divisor for all of them: an estimate is that of the streams' losses over all of their targets.
  var targetsOfPair: Double { Double(targets.pairs) / Double(pairs) }

  /// Ends a window.
  /// - Parameters:
  ///   - coefficients: [pairs], where c_p go; nil for an estimator that has one for every token and not for every pair.
  ///   - report: what a pair says, given `targetsOfPair`; nil if a loss was infinite or NaN: then the
  ///     pair's states have been set to zero.
  ///   - lossOfTarget: the mean loss of a target, from the mean of the pairs' sums.
  ///   - measure: what the states say; asked once all pairs have reported, and whether or not there is a gradient.
  ///   - estimate: computes the gradient from the coefficients, which `StepRule` has rescaled, and adds what it says of itself.
  func end(
    coefficients: UnsafeMutablePointer<Float>?, step: StepRule = .gradient,
    report: (_ pair: Int, _ targets: Double) -> Report?,
    lossOfTarget: (_ sum: Double, PairWindow) -> Double = { $0 / $1.targetsOfPair },
    measure: () -> WindowMeters,
    estimate: (StepRule.Scale, inout WindowMeters) -> Void
  ) -> CDRGE.WindowResult {
    guard targets.pairs > 0 else {
      readout?.discard()
      return CDRGE.WindowResult(loss: 0, targets: 0, brokenPairs: 0)
    }
    let (total, broken) = gather({ report($0, targetsOfPair) }, into: coefficients)
    var result = CDRGE.WindowResult(
      loss: lossOfTarget(total / Double(max(1, pairs - broken)), self), targets: targets.streams,
      brokenPairs: broken)
    result.meters = measure()
    result.meters.lostPairs = broken
    guard broken == 0 else {
      readout?.discard()
      return result
    }
    let scale = coefficients.map { step.rescale($0, pairs: pairs, loss: result.loss) } ?? StepRule.Scale()
    result.meters.clippedPairs = scale.clipped
    estimate(scale, &result.meters)
    return result
  }

  /// The reports of all pairs, in their order.
  private func gather(
    _ report: (_ pair: Int) -> Report?, into coefficients: UnsafeMutablePointer<Float>?
  ) -> (total: Double, broken: Int) {
    var broken = 0
    let total = TileSums.sum(pairs) { pair in
      guard let report = report(pair) else {
        broken += 1
        return 0
      }
      if let coefficients { coefficients[pair] = Float(report.coefficient) }
      return report.loss
    }
    return (total, broken)
  }

  /// The coefficients of pairs that have nothing else to say.
  static func gather(
    _ pairs: Int, into coefficients: UnsafeMutablePointer<Float>, _ coefficient: (_ pair: Int) -> Float
  ) {
    for pair in 0..<pairs { coefficients[pair] = coefficient(pair) }
  }
}
