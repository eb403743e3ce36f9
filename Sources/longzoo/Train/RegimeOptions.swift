import Foundation
import LongzooMemory
import LongzooTraining

extension TrainCommand {
  /// Decides how a new run keeps its weights, and gives the options that hang on it their defaults; a resumed run keeps them
  /// as it did.
  func chooseRegime(_ c: inout RunConfiguration, isNew: Bool) throws {
    let choice = limits.regime ?? .auto
    if isNew {
      if try isInPlace(c, choice) { try settleInPlace(&c) }
    } else {
      try goOn(c, choice)
    }
    try c.validateSettled()
  }

  private func isInPlace(_ c: RunConfiguration, _ choice: RegimeChoice) throws -> Bool {
    switch choice {
    case .shared: return false
    case .inplace:
      if let reason = obstacleToInPlace(c) { throw RunFailure.usage("--regime inplace \(reason)") }
      return true
    case .auto:
      guard obstacleToInPlace(c) == nil, let most = memory(c) else { return false }
      let shared = try MemoryPlan.table(for: c).total
      guard shared > most else { return false }
      // Where neither fits, the run is refused, with the table of what was asked for.
      var other = c
      try settleInPlace(&other)
      guard try MemoryPlan.table(for: other).total <= most else { return false }
      tell(needed: shared, most)
      return true
    }
  }

  private func tell(needed: Int, _ most: Int) {
    guard !quiet else { return }
    let text =
      "the shared regime would need \(ByteSize.formatted(needed)) of \(ByteSize.formatted(most)): weights are kept "
      + "in place, and trained by plain sgd with a zeroth-order readout (--regime inplace)\n"
    StandardStreams.tell(text)
  }

  private func settleInPlace(_ c: inout RunConfiguration) throws(RunFailure) {
    c.regime = .inPlace
    c.optimizer = .sgd
    c.momentum = 0
    c.readout = .zo
    if optimizer.lrSchedule == nil { c.schedule = .constant }
    if optimizer.weightDecay == nil { c.weightDecay = Recipe.weightDecay(c) }
    if optimizer.lr == nil { c.learningRate = c.defaultRate }
    try c.validate()
  }

  private func goOn(_ c: RunConfiguration, _ choice: RegimeChoice) throws(RunFailure) {
    guard choice == .auto || choice.rawValue == c.regime.rawValue else {
      throw .usage(
        "--regime was \(c.regime.rawValue) in the run that is resumed and cannot become \(choice.rawValue); "
          + "leave it out, or start a new run (--init takes over the weights)")
    }
    if c.regime == .inPlace, let reason = obstacleToInPlace(c) {
      throw .usage("the run that is resumed has --regime inplace, which \(reason)")
    }
  }

  /// Options that were given and that the regime cannot serve, with the reason.
  private func obstacleToInPlace(_ c: RunConfiguration) -> String? {
    if c.estimator.isExact { return "has no room for exact gradients; take --estimator cd-rge" }
    if c.estimator != .cdRGE { return "is there for --estimator cd-rge only" }
    if !c.searched.isEmpty {
      return
        "has no room for a second copy of the weights, which \(c.searchedSettings.optionText) goes back to; give a number"
    }
    if let kind = optimizer.optimizer, kind != .sgd {
      return "has no room for \(kind.rawValue)'s moments; take --optimizer sgd"
    }
    if let momentum = optimizer.momentum, momentum > 0 {
      return "has no room for a momentum; take --momentum 0"
    }
    if optimizer.beta2 != nil { return "has no adam, and --beta2 means nothing to it; leave it out" }
    if optimizer.tableRate != nil {
      return "has one rate for all weights, and --table-rate means nothing to it; leave it out"
    }
    if c.perturbation == .rademacher {
      return "has no room for a sign of every weight; take --perturbation rank1"
    }
    if c.perturbation == .gaussian {
      return "has no room for a normal number for every weight; take --perturbation rank1"
    }
    if c.rank > 1 { return "has directions of a single product; leave --rank out" }
    if estimator.readout == .exact { return "has no room for the readout's gradient; take --readout zo" }
    return nil
  }

  /// Bytes that a run may hold here; nil where nobody says.
  private func memory(_ c: RunConfiguration) -> Int? {
    [c.memoryBudget, MachineMemory.available].compactMap { $0 }.min()
  }
}
