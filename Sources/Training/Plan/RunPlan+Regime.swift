import LongzooEstimator
import LongzooMemory

/// How the weights are kept, where nobody has said it.
extension RunPlan {
  /// Decides it for a new run, after `settle()`, and gives what hangs on it its defaults: in place where nothing else fits.
  ///
  /// - Returns: what the shared regime would need and what there is, where that has decided; both in bytes.
  /// - Throws: if the regime that was chosen cannot serve other settings; what opening the data throws.
  package mutating func chooseRegime() throws -> (needed: Int, available: Int)? {
    var found: (needed: Int, available: Int)?
    if run.$regime.isGiven {
      if run.regime == .inPlace {
        if let obstacle = obstacleToInPlace { throw RunFailure.usage("\(.regime) inplace \(obstacle)") }
        try settleInPlace()
      }
    } else if obstacleToInPlace == nil, let available = availableBytes {
      let needed = try MemoryPlan.table(for: self).total
      // Where neither fits, the run is refused, with the table of what was asked for.
      var other = self
      if needed > available {
        try other.settleInPlace()
        if try MemoryPlan.table(for: other).total <= available {
          (self, found) = (other, (needed, available))
        }
      }
    }
    try validateSettled()
    return found
  }

  /// Refuses what a run that goes on cannot change of how it keeps its weights.
  package func requireRegime(of stored: RunPlan) throws(RunFailure) {
    guard run.regime == stored.run.regime else {
      throw .usage(
        "\(.regime) was \(stored.run.regime.rawValue) in the run that is resumed and cannot become \(run.regime.rawValue); "
          + "leave it out, or start a new run (\(.initialWeights) takes over the weights)")
    }
    if run.regime == .inPlace, let obstacle = obstacleToInPlace {
      throw .usage("the run that is resumed has \(.regime) inplace, which \(obstacle)")
    }
    try validateSettled()
  }

  private mutating func settleInPlace() throws(RunFailure) {
    run.$regime.settle(.inPlace)
    optimizer.$kind.settle(.sgd)
    optimizer.$momentum.settle(0)
    estimator.$readout.settle(.zo)
    optimizer.$schedule.fill(.constant)
    optimizer.$weightDecay.fill(Recipe.weightDecay(self))
    optimizer.$learningRate.fill(Recipe.rate(self))
    try validate()
  }

  /// What the regime cannot serve, with the reason.
  private var obstacleToInPlace: Wording? {
    if estimator.family.isExact { return "has no room for exact gradients; take \(.estimator) cd-rge" }
    if !estimator.family.worksInPlace { return "is there for \(.estimator) cd-rge only" }
    if !searched.isEmpty {
      return
        "has no room for a second copy of the weights, which \(searchedSettings) goes back to; give a number"
    }
    if let obstacle = obstacleOfOptimizer { return obstacle }
    switch estimator.perturbation {
    case .rademacher: return "has no room for a sign of every weight; take \(.perturbation) rank1"
    case .gaussian: return "has no room for a normal number for every weight; take \(.perturbation) rank1"
    case .rank1: break
    }
    if estimator.rank > 1 { return "has directions of a single product; leave \(.rank) out" }
    if estimator.$readout.isGiven, estimator.readout == .exact {
      return "has no room for the readout's gradient; take \(.readout) zo"
    }
    return nil
  }

  private var obstacleOfOptimizer: Wording? {
    if optimizer.$kind.isGiven, optimizer.kind != .sgd {
      return "has no room for \(optimizer.kind.rawValue)'s moments; take \(.optimizer) sgd"
    }
    if optimizer.$momentum.isGiven, optimizer.momentum > 0 {
      return "has no room for a momentum; take \(.momentum) 0"
    }
    if optimizer.$beta2.isGiven { return "has no adam, and \(.beta2) means nothing to it; leave it out" }
    if optimizer.$tableRate.isGiven {
      return "has one rate for all weights, and \(.tableRate) means nothing to it; leave it out"
    }
    return nil
  }

  /// Bytes that a run may hold here; nil where nobody says.
  private var availableBytes: Int? { [run.memoryBudget, MachineMemory.available].compactMap { $0 }.min() }
}
