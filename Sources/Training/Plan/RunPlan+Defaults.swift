import Foundation
import LongzooEstimator
import LongzooMemory
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
    if data.isPipe { settlePipe() }
    settleWindows()
    streaming.$streams.fill(data.isPipe ? 1 : defaultStreams)
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

  /// One stream of tokens that come at their own pace.
  private mutating func settlePipe() {
    if estimator.family.hasPairs { estimator.$pairs.fill(EstimatorPlan.defaultPipePairs) }
    switch estimator.family {
    case .cdRGE, .fdRGE, .jvp, .nres, .node: streaming.$context.fill(StreamingPlan.defaultPipeContext)
    // They have short contexts from files too, or need the whole of one.
    case .pes, .tbptt, .hybrid, .bptt: break
    }
  }

  /// Windows, contexts and what the estimator does over them.
  private mutating func settleWindows() {
    if estimator.family == .hybrid { settleHybrid() }
    estimator.$epsilon.fill(defaultEpsilon)
    switch estimator.family {
    case .cdRGE, .fdRGE, .jvp, .nres, .pes, .node: break
    case .tbptt, .hybrid: streaming.$window.fill(.tokens(EstimatorPlan.defaultTruncation))
    case .bptt: streaming.$window.fill(.context)
    }
    switch estimator.family {
    case .tbptt, .hybrid: streaming.$context.fill(StreamingPlan.defaultTruncatedContext)
    case .pes: streaming.$context.fill(StreamingPlan.defaultPESContext)
    case .cdRGE, .fdRGE, .jvp, .nres, .node, .bptt: break
    }
    // Their credit reaches back to the context's start, and would end where a pair is sent back.
    if estimator.family.method?.isUnrolled == true { estimator.$maxDivergence.fill(0) }
  }

  /// The columns of hybrid only tell what crosses a window's border.
  private mutating func settleHybrid() {
    estimator.$lifetime.fill(EstimatorPlan.defaultHybridLifetime)
    guard !data.isPipe else { return }
    let streams = streaming.$streams.isGiven ? streaming.streams : 0
    estimator.$pairs.fill(max(EstimatorPlan.defaultHybridPairs, streams))
  }

  private var defaultEpsilon: Double {
    switch estimator.family {
    case .hybrid: EstimatorPlan.defaultHybridEpsilon
    case .node where estimator.readout == .zo: EstimatorPlan.defaultLogitEpsilon
    default: EstimatorPlan.defaultEpsilon
    }
  }

  /// Many positions make a minute's learning; but exact gradients of whole contexts hold each of them in full.
  private var defaultStreams: Int {
    switch estimator.family {
    case .cdRGE, .fdRGE, .jvp, .nres, .pes, .node: estimator.pairs
    case .tbptt: EstimatorPlan.defaultTruncation
    case .hybrid: min(EstimatorPlan.defaultTruncation, estimator.pairs)
    case .bptt: 1
    }
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
