import LongzooEstimator
import LongzooMemory

extension RunPlan {
  /// Refuses what somebody has chosen and the estimator, or the optimizer, does not heed.
  package func refuseForeign() throws(RunFailure) {
    let family = estimator.family
    for entry in Self.entries where entry.isGiven(self) {
      // A search for ε is a way to tell ε.
      let setting = entry.key == "searchesEpsilon" ? .epsilon : entry.setting
      guard let setting, let reason = family.reason(against: setting) else { continue }
      throw .usage("\(setting) means nothing to \(.estimator) \(family.rawValue)\(reason); leave it out")
    }
    if optimizer.$beta2.isGiven, optimizer.kind == .sgd {
      throw .usage("\(.beta2) means nothing to \(.optimizer) sgd; leave it out")
    }
    if estimator.step == .polyak, family == .pes {
      throw .usage(
        "\(.step) polyak takes slopes along single directions, and pes has sums of them; take \(.step) gradient"
      )
    }
  }
}

extension EstimatorKind {
  /// Why a setting means nothing to the estimator, as a clause or as nothing; nil: it means something.
  fileprivate func reason(against setting: Setting) -> Wording? {
    switch setting {
    case .epsilon where self == .jvp: return ", which takes derivatives and no differences"
    case .maxDivergence where self == .jvp || self == .fdRGE: return ", which has no state under both signs"
    case .lifetime where method?.isUnrolled == true:
      return ", whose pairs all begin anew with every context"
    case .pairs, .epsilon: return hasPairs ? nil : ""
    case .perturbation, .rank, .lifetime: return movesWeights ? nil : ""
    case .step, .maxDivergence: return movesWeights && !isExact ? nil : ""
    case .readout: return hasPairs && !isExact ? nil : ""
    case .creditDecay: return self == .node ? nil : ""
    case .beyondMomentum: return self == .hybrid ? nil : ""
    case .checkpointing, .clipNorm: return isExact ? nil : ""
    default: return nil
    }
  }
}
