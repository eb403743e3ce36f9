import LongzooEstimator
import LongzooModel
import LongzooStream
import LongzooTraining

// What was typed, over what a plan says: an option that was not given leaves it alone.

extension DataOptions {
  /// The vocabulary of `eval` is the model's, and its data is read as the model's was.
  func apply(to plan: inout DataPlan) {
    if let dtype { plan.tokenType = dtype }
    if let compression { plan.compression = compression }
    if let format { plan.format = format }
    if let vocabSize { plan.vocabularySize = vocabSize }
    if let targets { plan.targets = targets }
    if let skipTokens { plan.skipTokens = skipTokens.value }
    if let expectTokens { plan.expectTokens = expectTokens.value }
    if let zstdWindowLog { plan.zstdWindowLog = zstdWindowLog }
  }
}

extension LayerOptions {
  func apply(to plan: inout ModelPlan) {
    if let cell { plan.cell = cell }
    if let layers { plan.layers = layers }
    if let block { plan.block = block }
    if let embeddingSize { plan.embeddingSize = embeddingSize }
    if let memorySlots { plan.memorySlots = memorySlots }
    if let readHeads { plan.readHeads = readHeads }
    if emptyMemory { plan.emptyMemory = true }
  }
}

extension ModelOptions {
  func apply(to plan: inout ModelPlan) {
    layers.apply(to: &plan)
    if let hiddenSize { plan.hiddenSize = hiddenSize }
    if let heads { plan.heads = heads }
    if let tokenScale { plan.tokenScale = tokenScale }
    if let memorySpan { plan.memorySpan = memorySpan.value }
    if let initialWeights { plan.initialWeights = AbsolutePath.of(initialWeights) }
  }
}

extension StreamingOptions {
  func apply(to plan: inout StreamingPlan) {
    if let context { plan.context = context.value }
    if let window { plan.window = window }
    if let streams { plan.streams = streams }
    if let reset { plan.reset = reset }
  }
}

extension EstimatorOptions {
  func apply(to plan: inout EstimatorPlan) {
    if let estimator { plan.family = estimator }
    if let pairs { plan.pairs = pairs }
    if let eps { plan.searchesEpsilon = eps == .auto }
    if case .value(let epsilon) = eps { plan.epsilon = epsilon }
    if let step { plan.step = step }
    if let perturbation { plan.perturbation = perturbation }
    if let rank { plan.rank = rank }
    if let lifetime { plan.lifetime = lifetime }
    if let maxDivergence { plan.maxDivergence = maxDivergence }
    if let beyondMomentum { plan.beyondMomentum = beyondMomentum }
    if let creditDecay { plan.creditDecay = creditDecay }
    if let readout { plan.readout = readout }
    if let checkpointing { plan.checkpointing = checkpointing }
    if let clipNorm { plan.clipNorm = clipNorm }
  }
}

extension OptimizerOptions {
  func apply(to plan: inout OptimizerPlan) {
    if let optimizer { plan.kind = optimizer }
    if let lr { plan.searchesRate = lr == .auto }
    if case .value(let rate) = lr { plan.learningRate = rate }
    if let momentum { plan.momentum = momentum }
    if let beta2 { plan.beta2 = beta2 }
    if let weightDecay { plan.weightDecay = weightDecay }
    if let tableRate { plan.tableRate = tableRate }
    if let lrSchedule { plan.schedule = lrSchedule }
    if let warmup { plan.warmup = warmup.value }
  }
}

extension RunOptions {
  func apply(to plan: inout LimitPlan, _ run: inout ExecutionPlan) {
    if let maxSteps { plan.maxSteps = maxSteps.value }
    if let maxTokens { plan.maxTokens = maxTokens.value }
    if let maxSeconds { plan.maxSeconds = maxSeconds }
    if let epochs { plan.epochs = epochs }
    if let stopAbove { plan.stopAbove = stopAbove }
    if let stopBelow { plan.stopBelow = stopBelow }
    if let patience { plan.patience = patience }
    apply(to: &run)
  }

  private func apply(to plan: inout ExecutionPlan) {
    if let seed { plan.seed = seed }
    if let threads { plan.threads = threads }
    if let memoryBudget { plan.memoryBudget = memoryBudget.bytes }
    if let lossWindows { plan.lossWindows = lossWindows }
    if let evalInterval { plan.evalInterval = evalInterval.value }
    if let evalTokens { plan.evalTokens = evalTokens.value }
    if let logInterval { plan.logInterval = logInterval.value }
    if let saveInterval { plan.saveInterval = saveInterval }
    if replayLog { plan.replayLog = true }
    switch regime {
    case .shared: plan.regime = .shared
    case .inplace: plan.regime = .inPlace
    case .auto, nil: break
    }
  }
}
