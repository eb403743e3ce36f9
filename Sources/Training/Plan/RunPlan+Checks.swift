import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooStream

extension RunPlan {
  /// Entries of the largest matrix, padding left out.
  private var mostEntries: Int { shape.tensors.map { $0.rows * $0.columns }.max() ?? 0 }

  /// Refuses what no run can do.
  /// - Throws: exit code 64, naming the option.
  package func validate() throws(RunFailure) {
    try validateValues()
    try validateEnd()
  }

  /// All that the program relies on, wherever a configuration comes from: a run of an earlier version must pass.
  /// - Throws: exit code 64, naming the option.
  package func validateValues() throws(RunFailure) {
    try validateModel()
    try validatePairs()
    try validateWindows()
    try validateRunNumbers()
    try validateFootprint()
    try validateEstimator()
    try validateSearch()
    try validateOptimizer()
    try validateData()
  }

  /// What makes no sense together once the regime is known.
  /// - Throws: exit code 64, naming the option.
  package func validateSettled() throws(RunFailure) {
    try require(
      !run.replayLog || estimator.readout == .zo,
      "\(.replayLog) makes weights again out of the pairs' coefficients, and the gradient of an exact readout is none of their "
        + "functions; take \(.readout) zo")
    try require(
      estimator.step != .polyak || optimizer.kind == .sgd,
      "\(.step) polyak sets the size of sgd's step, which \(optimizer.kind.rawValue) does not heed; take \(.optimizer) sgd"
    )
    try require(
      estimator.step != .polyak || estimator.readout == .zo,
      "\(.step) polyak knows the slopes along the pairs' directions only; take \(.readout) zo")
    try require(
      run.regime == .shared
        || (estimator.family.worksInPlace && optimizer.kind == .sgd && optimizer.momentum == 0
          && estimator.readout == .zo
          && directions == .rank1
          && searched.isEmpty),
      "\(.regime) inplace is there for \(.estimator) cd-rge with \(.optimizer) sgd, \(.momentum) 0, \(.readout) zo and directions of a single product"
    )
  }

  private func validateFootprint() throws(RunFailure) {
    try require(
      footprint <= Self.largestFootprint,
      "a run of these sizes would take more memory than any machine can address; take a smaller \(.hiddenSize), \(.vocabularySize), \(.pairs) or "
        + "\(.streams), fewer \(.layers)" + (estimator.family.isExact ? ", or a shorter \(.window)" : ""))
  }

  private func validateModel() throws(RunFailure) {
    try require(
      (1...ModelShape.largest).contains(data.vocabularySize),
      "\(.vocabularySize) \(data.vocabularySize) is not from 1 to 2^24"
    )
    try require(
      data.targets == .all || data.vocabularySize <= data.tokenType.range(data.targets),
      "\(.vocabularySize) \(data.vocabularySize): with \(.targets) marked a \(data.tokenType.rawValue) token has only \(data.tokenType.range(.marked)) ids; "
        + "its highest bit is the mark"
    )
    try require(
      (1...ModelShape.largest).contains(model.hiddenSize),
      "\(.hiddenSize) \(model.hiddenSize) is not from 1 to 2^24")
    try require(
      model.heads >= 1 && model.hiddenSize % max(1, model.heads) == 0,
      "\(.heads) \(model.heads) does not divide \(.hiddenSize) \(model.hiddenSize) into whole heads")
    try require(
      model.heads == 1 || !model.cell.isElementwise,
      "\(.heads) means nothing to \(.cell) \(model.cell.name), whose units remember each for itself")
    try require(
      model.hiddenSize / model.heads <= ModelShape.largestHead || model.cell.isElementwise,
      "\(.hiddenSize) \(model.hiddenSize) in \(model.heads) head\(model.heads == 1 ? "" : "s") is more than 65536 units a head; give more \(.heads)"
    )
    try require(
      (1...ModelShape.maximumLayers).contains(model.layers),
      "\(.layers) \(model.layers) is not from 1 to \(ModelShape.maximumLayers)")
    try require(
      data.vocabularySize * model.hiddenSize <= ModelShape.largestMatrix,
      "\(.vocabularySize) \(data.vocabularySize) times \(.hiddenSize) \(model.hiddenSize) is more than 2^40")
    try validateEmbedding()
    try validateMemory()
    try require(
      model.tokenScale.map(isSize) ?? true, "\(.tokenScale) \(model.tokenScale ?? 0) is not \(sizes)")
    try require(
      model.tokenScale == nil || model.initialWeights == nil,
      "\(.tokenScale) is for random weights; it means nothing beside \(.initialWeights)")
    try require(model.memorySpan.map { $0 >= 2 } ?? true, "\(.memorySpan) must be at least 2 tokens")
    try require(
      model.memorySpan == nil || model.cell.memory != nil,
      "\(.memorySpan) means nothing to \(.cell) \(model.cell.name), which has no gate that keeps its state")
    try require(
      model.memorySpan == nil || model.initialWeights == nil,
      "\(.memorySpan) is for random weights; it means nothing beside \(.initialWeights)")
  }

  private func validateEmbedding() throws(RunFailure) {
    let (size, isNeeded) = (model.embeddingSize, model.block == .residual || model.cell.needsEmbedding)
    try require(
      (0...ModelShape.largest).contains(size) && (size > 0 || !isNeeded),
      "\(.embeddingSize) \(size) is not from \(isNeeded ? "1" : "0 (none)") to 2^24")
    try require(
      data.vocabularySize * size <= ModelShape.largestMatrix,
      "\(.vocabularySize) \(data.vocabularySize) times \(.embeddingSize) \(size) is more than 2^40")
  }

  /// A memory, and what else a model that has one cannot be told.
  private func validateMemory() throws(RunFailure) {
    let (name, slots, heads) = (model.cell.name, model.memorySlots, model.readHeads)
    guard model.cell.isWholeModel else {
      let setting: Setting? =
        slots > 0 ? .memorySlots : heads != 1 ? .readHeads : model.emptyMemory ? .emptyMemory : nil
      guard let setting else { return }
      throw .usage("\(setting) means nothing to \(.cell) \(name), which has no memory; leave it out")
    }
    try require(
      (1...ModelShape.largest).contains(slots), "\(.memorySlots) \(slots) is not from 1 to 2^24")
    try require(
      (1...max(1, model.hiddenSize)).contains(heads) && model.hiddenSize % max(1, heads) == 0,
      "\(.readHeads) \(heads) does not divide \(.hiddenSize) \(model.hiddenSize) into whole slots")
    try require(
      slots * (model.hiddenSize / max(1, heads)) <= 1 << 31,
      "\(.memorySlots) \(slots) of \(model.hiddenSize / max(1, heads)) numbers are more than 2^31")
    let setting: Setting? =
      model.layers != 1 ? .layers : model.heads != 1 ? .heads : model.block != .plain ? .block : nil
    guard let setting else { return }
    throw .usage("\(setting) means nothing to \(.cell) \(name), which is a whole model; leave it out")
  }

  private func validatePairs() throws(RunFailure) {
    try require(
      (1...(1 << 20)).contains(estimator.pairs), "\(.pairs) \(estimator.pairs) is not from 1 to \(1 << 20)")
    try require(
      streaming.streams >= 1 && streaming.streams <= (estimator.family.hasPairs ? estimator.pairs : 1 << 20),
      "\(.streams) \(streaming.streams): there must be from 1 to "
        + (estimator.family.hasPairs ? "as many as \(.pairs) (\(estimator.pairs))" : "\(1 << 20)"))
    try require(
      Float(estimator.epsilon) > 0 && Float(estimator.epsilon).isFinite,
      "\(.epsilon) \(estimator.epsilon) is not from \(Float.leastNonzeroMagnitude) to \(Float.greatestFiniteMagnitude)"
    )
    try require(
      (1...DirectionKind.mostProducts).contains(estimator.rank),
      "\(.rank) \(estimator.rank) is not from 1 to \(DirectionKind.mostProducts)")
    try require(
      estimator.rank == 1 || estimator.perturbation == .rank1,
      "\(.rank) is for sums of \(.perturbation) rank1; \(.perturbation) \(estimator.perturbation.rawValue) has full rank"
    )
    try require(
      estimator.perturbation != .gaussian || mostEntries <= 1 << 28,
      "\(.perturbation) gaussian numbers the entries of a matrix up to 2^28, and here there are more; take rank1 or rademacher"
    )
    try require(
      (1...(1 << 30)).contains(estimator.lifetime), "\(.lifetime) \(estimator.lifetime) is not from 1 to 2^30"
    )
    try require(
      isSize(estimator.maxDivergence),
      "\(.maxDivergence) \(estimator.maxDivergence) is not \(sizes)")
  }

  private func validateWindows() throws(RunFailure) {
    try require(
      !data.isPipe || streaming.streams == 1,
      "standard input and other pipes have one position only: \(.streams) must be 1, or left out")
    if case .tokens(let count) = streaming.window {
      try require(count >= 1, "\(.window) must be at least 1 token, or 'context'")
    }
    try require(streaming.context >= 0, "\(.context) must not be negative")
    try require(
      streaming.window != .context || streaming.context > 0,
      "\(.window) context needs a \(.context); 0 never ends")
  }

  private func validateEstimator() throws(RunFailure) {
    if case .every(let tokens) = estimator.checkpointing {
      try require(tokens >= 1, "\(.checkpointing) \(tokens): a segment has at least one token")
    }
    try require(
      estimator.checkpointing != .binomial || run.memoryBudget != nil,
      "\(.checkpointing) binomial needs a \(.memoryBudget): it takes what that leaves")
    try require(
      isSize(estimator.clipNorm), "\(.clipNorm) \(estimator.clipNorm) is not \(sizes)")
    try require(
      isFraction(estimator.beyondMomentum),
      "\(.beyondMomentum) \(estimator.beyondMomentum) is not \(fractions)")
    try require(
      (0...1).contains(estimator.creditDecay), "\(.creditDecay) \(estimator.creditDecay) is not from 0 to 1")
    if let refusal = estimator.family.refusal(of: estimator.configuration, workload) { throw .usage(refusal) }
    try require(
      !run.replayLog || estimator.family.hasCoefficients,
      "\(.replayLog) keeps the coefficients of pairs, and the gradient of \(.estimator) \(estimator.family.name) is more than they say; take cd-rge, jvp, nres or pes"
    )
  }

  private func validateSearch() throws(RunFailure) {
    try require(
      !estimator.searchesEpsilon || !estimator.family.isUnrolled,
      "\(.epsilon) auto is judged by windows that begin with another ε, and the pairs of \(.estimator) \(estimator.family.name) begin anew with contexts only; give \(.epsilon) a number"
    )
    try require(
      !estimator.searchesEpsilon || searchWindows.map { 6 * estimator.lifetime <= $0 } ?? true,
      "\(.epsilon) auto is judged by windows in which pairs begin anew, and \(.lifetime) \(estimator.lifetime) is too long for that; give \(.epsilon) a number"
    )
    try require(
      searched.isEmpty || searchWindows != nil,
      "\(searchedSettings) goes through \(SettingSearch.fewestWindows) windows several times, which is more than \(SettingSearch.mostBytes >> 20) MiB of "
        + "tokens here; give a number, or take a shorter \(.window) or fewer \(.streams)")
  }

  private func validateOptimizer() throws(RunFailure) {
    try require(
      isSize(optimizer.learningRate),
      "\(.learningRate) \(optimizer.learningRate) is not \(sizes)")
    try require(isFraction(optimizer.momentum), "\(.momentum) \(optimizer.momentum) is not \(fractions)")
    try require(isFraction(optimizer.beta2), "\(.beta2) \(optimizer.beta2) is not \(fractions)")
    try require(
      isSize(optimizer.weightDecay), "\(.weightDecay) \(optimizer.weightDecay) is not \(sizes)")
    try require(
      isSize(optimizer.tableRate), "\(.tableRate) \(optimizer.tableRate) is not \(sizes)")
  }

  private func validateData() throws(RunFailure) {
    if let pipe = data.paths.first(where: DataPath.isPipe), data.paths.count > 1 {
      throw .usage(
        "\(pipe == "-" ? "standard input" : pipe): a pipe cannot be one of several files; join them before the pipe, as in cat a \(pipe) b, and give that pipe alone"
      )
    }
    try require(
      (0...(1 << 56)).contains(data.skipTokens), "\(.skipTokens) \(data.skipTokens) is not from 0 to 2^56")
    try require(
      data.expectTokens.map { (0...(1 << 56)).contains($0) } ?? true, "\(.expectTokens) is not from 0 to 2^56"
    )
    try require(
      (10...31).contains(data.zstdWindowLog), "\(.zstdWindowLog) \(data.zstdWindowLog) is not from 10 to 31")
    try require(data.tokensBefore ?? 0 >= 0, "the tokens before \(.newData) cannot be fewer than none")
    try require(
      data.holdoutFraction >= 0 && data.holdoutFraction < 1,
      "\(.holdoutFraction) \(data.holdoutFraction) is not from 0 to less than 1")
    try require(
      data.heldOutPath == nil || data.holdoutFraction == 0,
      "\(.heldOutPath) and \(.holdoutFraction) exclude each other")
    try require(
      !data.isPipe || data.holdoutFraction == 0,
      "\(.holdoutFraction) needs files; for a pipe give held-out data with \(.heldOutPath)")
    try require(limits.patience.map { $0 >= 1 } ?? true, "\(.patience) must be at least 1 evaluation")
    try require(
      limits.patience == nil || data.hasHeldOut,
      "\(.patience) waits for a better loss on held-out tokens, and there are none: give \(.heldOutPath) or \(.holdoutFraction)"
    )
    try require(
      limits.patience == nil || run.evalInterval != 0,
      "\(.patience) needs evaluations on the way, and \(.evalInterval) 0 leaves only the one at the end")
  }

  private func validateRunNumbers() throws(RunFailure) {
    try require(run.threads >= 1 && run.threads <= 1024, "\(.threads) \(run.threads) is not from 1 to 1024")
    try require(
      limits.maxSeconds.map { $0 > 0 && $0.isFinite } ?? true,
      "\(.maxSeconds) must be more than 0, and at most \(Double.greatestFiniteMagnitude) seconds")
    try require(
      limits.stopAbove.map { $0 >= 0 && $0.isFinite } ?? true,
      "\(.stopAbove) \(limits.stopAbove ?? 0) is not from 0 to \(Double.greatestFiniteMagnitude) nats")
    try require(
      limits.stopBelow.map { $0 > 0 && $0.isFinite } ?? true,
      "\(.stopBelow) must be more than 0, and at most \(Double.greatestFiniteMagnitude) nats")
    try require(run.lossWindows >= 1, "\(.lossWindows) must be at least 1")
    try require(limits.maxSteps.map { $0 > 0 } ?? true, "\(.maxSteps) must be at least 1")
    try require(limits.maxTokens.map { $0 > 0 } ?? true, "\(.maxTokens) must be at least 1")
    try require(
      limits.epochs.map { $0 > 0 && $0.isFinite } ?? true,
      "\(.epochs) must be more than 0, and at most \(Double.greatestFiniteMagnitude)")
    let counts: [(Setting, Int)] = [
      (.warmup, optimizer.warmup), (.evalInterval, run.evalInterval ?? 0), (.evalTokens, run.evalTokens ?? 0),
      (.logInterval, run.logInterval ?? 0), (.memoryBudget, run.memoryBudget ?? 0),
      (.memoryBudget, estimator.checkpointingBudget ?? 0),
    ]
    for (setting, number) in counts { try require(number >= 0, "\(setting) \(number) is negative") }
    if case .updates(let interval) = run.saveInterval {
      try require(interval >= 0, "\(.saveInterval) \(interval) is negative")
    }
  }

  private func validateEnd() throws(RunFailure) {
    if let above = limits.stopAbove, let below = limits.stopBelow, above > 0, above < below {
      throw .usage(
        "\(.stopAbove) \(above) is less than \(.stopBelow) \(below): the run would end well at every loss at which it is not given up; \(.stopAbove) has to be more"
      )
    }
    try require(
      limits.epochs == nil || !data.isPipe,
      "\(.epochs) counts passes over files, and a pipe is read once; leave it out")
    try require(
      optimizer.schedule == .constant || RunLimits(self, trainingTokens: 1).hasEnd,
      "\(.schedule) \(optimizer.schedule.rawValue) falls to 0 at the end, and nobody knows where this pipe ends: give \(.maxSteps), \(.maxTokens), \(.maxSeconds) or \(.expectTokens)"
    )
  }
}

private func require(_ condition: Bool, _ text: @autoclosure () -> Wording) throws(RunFailure) {
  if !condition { throw .usage(text()) }
}

/// In [0, 1) as 32 bits have it: 1 − 1e-9 is 1 there.
private let fractions = "from 0 to \((1 as Float).nextDown), the last number of 32 bits below 1"
private func isFraction(_ value: Double) -> Bool { value >= 0 && Float(value) < 1 }

/// At least 0, and finite in 32 bits.
private let sizes = "from 0 to \(Float.greatestFiniteMagnitude)"
private func isSize(_ value: Double) -> Bool { value >= 0 && Float(value).isFinite }
