import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooStream

/// The defaults, which depend on each other.
extension RunPlan {
  /// Gives every setting that nobody has chosen the default that goes with the others, in the order in which they depend on
  /// each other. To be called once, before the plan is used; docs/defaults.md has the evidence.
  ///
  /// - Throws: where there is no default: the vocabulary of tokens of more than a byte.
  public mutating func settle() throws(RunFailure) {
    run.$identity.fill(RunIdentity.new())
    data.$readsNamedPipe.settle(
      data.paths.count == 1 && data.paths != ["-"] && DataPath.isPipe(data.paths[0]))
    run.$threads.fill(ProcessInfo.processInfo.activeProcessorCount)
    try settleData()
    model.settle()
    settleEstimator()
    settleRecipe()
    optimizer.$learningRate.fill(Recipe.rate(self))
  }

  private mutating func settleData() throws(RunFailure) {
    if !data.$vocabularySize.isGiven {
      guard data.tokenType == .u8 else {
        throw .usage(
          "\(.tokenType) \(data.tokenType.rawValue) needs \(.vocabularySize): how many token ids there are")
      }
      data.$vocabularySize.settle(data.tokenType.range(data.targets))
    }
    data.$holdoutFraction.fill(data.isPipe || data.heldOutPath != nil ? 0 : DataPlan.defaultHoldout)
  }

  /// What the estimator's family is told where nobody says.
  private mutating func settleEstimator() {
    let (family, defaults) = (estimator.family, estimator.family.defaults)
    let least = defaults.raisesPairsToStreams && streaming.$streams.isGiven ? streaming.streams : 0
    let pairs = data.isPipe && family.hasPairs ? defaults.pipePairs : max(defaults.pairs, least)
    estimator.$pairs.fill(pairs)
    estimator.$lifetime.fill(defaults.lifetime)
    let epsilon = defaults.epsilon(readout: estimator.readout)
    // A direction of products makes columns grow that nothing bounds, from token to token or from block to block.
    let isBounded = model.cell.isBounded && model.block == .plain
    estimator.$epsilon.fill(isBounded ? epsilon : epsilon / 10)
    estimator.$maxDivergence.fill(defaults.maxDivergence)
    streaming.$window.fill(defaults.window)
    streaming.$context.fill(data.isPipe ? defaults.pipeContext : defaults.context)
    streaming.$streams.fill(data.isPipe ? 1 : family.defaultStreams(pairs: estimator.pairs))
  }

  /// Optimizer, schedule and what goes with them; the rate follows from these.
  private mutating func settleRecipe() {
    let schedule = optimizer.$schedule.isGiven ? optimizer.schedule : nil
    optimizer.$kind.fill(Recipe.optimizer(self, schedule: schedule))
    optimizer.$schedule.fill(Recipe.falls(self) ? .cosine : .constant)
    optimizer.$momentum.fill(Recipe.momentum(self))
    optimizer.$weightDecay.fill(Recipe.weightDecay(self))
    optimizer.$tableRate.fill(Recipe.tableRate(self))
  }
}

extension ModelPlan {
  /// Blocks, and what goes with them, where nobody says: element-wise cells leave it to what lies between layers to mix their units.
  package mutating func settle() {
    $block.fill(cell.isElementwise && layers > 1 ? .residual : .plain)
    $embeddingSize.fill(block == .residual || cell.needsEmbedding ? hiddenSize : 0)
    $memorySlots.fill(cell.isWholeModel ? hiddenSize : 0)
  }
}
