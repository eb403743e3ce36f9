import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooStream

extension RunConfiguration {
  /// Of the largest matrix, padding left out.
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
      !replayLog || readout == .zo,
      "\(.replayLog) makes weights again out of the pairs' coefficients, and the gradient of an exact readout is none of their "
        + "functions; take \(.readout) zo")
    try require(
      step != .polyak || optimizer == .sgd,
      "\(.step) polyak sets the size of sgd's step, which \(optimizer.rawValue) does not heed; take \(.optimizer) sgd"
    )
    try require(
      step != .polyak || readout == .zo,
      "\(.step) polyak knows the slopes along the pairs' directions only; take \(.readout) zo")
    try require(
      regime == .shared
        || (estimator == .cdRGE && optimizer == .sgd && momentum == 0 && readout == .zo
          && directions == .rank1
          && searched.isEmpty),
      "\(.regime) inplace is there for \(.estimator) cd-rge with \(.optimizer) sgd, \(.momentum) 0, \(.readout) zo and directions of a single product"
    )
  }

  private func validateFootprint() throws(RunFailure) {
    try require(
      footprint <= Self.largestFootprint,
      "a run of these sizes would take more memory than any machine can address; take a smaller \(.hiddenSize), \(.vocabularySize), \(.pairs) or "
        + "\(.streams), fewer \(.layers)" + (estimator.isExact ? ", or a shorter \(.window)" : ""))
  }

  private func validateModel() throws(RunFailure) {
    try require(
      (1...ModelShape.largest).contains(vocabularySize),
      "\(.vocabularySize) \(vocabularySize) is not from 1 to 2^24"
    )
    try require(
      targets == .all || vocabularySize <= dtype.range(targets),
      "\(.vocabularySize) \(vocabularySize): with \(.targets) marked a \(dtype.rawValue) token has only \(dtype.range(.marked)) ids; "
        + "its highest bit is the mark"
    )
    try require(
      (1...ModelShape.largest).contains(hiddenSize), "\(.hiddenSize) \(hiddenSize) is not from 1 to 2^24")
    try require(
      heads >= 1 && hiddenSize % max(1, heads) == 0,
      "\(.heads) \(heads) does not divide \(.hiddenSize) \(hiddenSize) into whole heads")
    try require(
      hiddenSize / heads <= ModelShape.largestHead,
      "\(.hiddenSize) \(hiddenSize) in \(heads) head\(heads == 1 ? "" : "s") is more than 65536 units a head; give more \(.heads)"
    )
    try require(
      (1...ModelShape.maximumLayers).contains(layers),
      "\(.layers) \(layers) is not from 1 to \(ModelShape.maximumLayers)")
    try require(
      vocabularySize * hiddenSize <= ModelShape.largestMatrix,
      "\(.vocabularySize) \(vocabularySize) times \(.hiddenSize) \(hiddenSize) is more than 2^40")
    try require(
      tokenScale.map(isSize) ?? true, "\(.tokenScale) must be a number of at least 0")
    try require(
      tokenScale == nil || initialWeights == nil,
      "\(.tokenScale) is for random weights; it means nothing beside \(.initialWeights)")
    try require(memorySpan.map { $0 >= 2 } ?? true, "\(.memorySpan) must be at least 2 tokens")
    try require(
      memorySpan == nil || initialWeights == nil,
      "\(.memorySpan) is for random weights; it means nothing beside \(.initialWeights)")
  }

  private func validatePairs() throws(RunFailure) {
    try require((1...(1 << 20)).contains(pairs), "\(.pairs) \(pairs) is not from 1 to \(1 << 20)")
    try require(
      streams >= 1 && streams <= (estimator.hasPairs ? pairs : 1 << 20),
      "\(.streams) \(streams): there must be from 1 to "
        + (estimator.hasPairs ? "as many as \(.pairs) (\(pairs))" : "\(1 << 20)"))
    try require(
      Float(epsilon) > 0 && Float(epsilon).isFinite,
      "\(.epsilon) \(epsilon) is not a positive number of 32 bits")
    try require(
      (1...DirectionKind.mostProducts).contains(rank),
      "\(.rank) \(rank) is not from 1 to \(DirectionKind.mostProducts)")
    try require(
      rank == 1 || perturbation == .rank1,
      "\(.rank) is for sums of \(.perturbation) rank1; \(.perturbation) \(perturbation.rawValue) has full rank"
    )
    try require(
      perturbation != .gaussian || estimator != .fdRGE,
      "\(.estimator) fd-rge runs two tiles of directions side by side, which \(.perturbation) gaussian has no room for; take rank1, rademacher or another estimator"
    )
    try require(
      perturbation != .gaussian || mostEntries <= 1 << 28,
      "\(.perturbation) gaussian numbers the entries of a matrix up to 2^28, and here there are more; take rank1 or rademacher"
    )
    try require((1...(1 << 30)).contains(lifetime), "\(.lifetime) \(lifetime) is not at least 1")
    try require(
      isSize(maxDivergence),
      "\(.maxDivergence) \(maxDivergence) is not a number of at least 0")
  }

  private func validateWindows() throws(RunFailure) {
    try require(
      !isPipe || streams == 1,
      "standard input and other pipes have one position only: \(.streams) must be 1, or left out")
    if case .tokens(let count) = window {
      try require(count >= 1, "\(.window) must be at least 1 token, or 'context'")
    }
    try require(context >= 0, "\(.context) must not be negative")
    try require(window != .context || context > 0, "\(.window) context needs a \(.context); 0 never ends")
  }

  private func validateEstimator() throws(RunFailure) {
    if case .every(let tokens) = checkpointing {
      try require(tokens >= 1, "\(.checkpointing) \(tokens): a segment has at least one token")
    }
    try require(
      checkpointing != .binomial || memoryBudget != nil,
      "\(.checkpointing) binomial needs a \(.memoryBudget): it takes what that leaves")
    try require(isSize(clipNorm), "\(.clipNorm) \(clipNorm) is not a number of at least 0")
    try require(
      isFraction(beyondMomentum), "\(.beyondMomentum) \(beyondMomentum) is not in [0, 1)")
    try require(
      creditDecay.map { (0...1).contains($0) } ?? true, "\(.creditDecay) must be a number from 0 to 1")
    if estimator == .node {
      try require(
        tokensOfWindow < 1 << 16,
        "\(.estimator) node keeps a state of every pair for each token of its window, which \(.window) must make shorter than 65536 tokens"
      )
    }
    try require(
      estimator.method?.isUnrolled != true || tokensToReset != nil,
      "\(.estimator) \(estimator.rawValue) keeps its pairs from reset to reset: it needs a \(.context) that ends, and \(.reset) context"
    )
    try require(
      !replayLog || estimator.method != nil,
      "\(.replayLog) keeps the coefficients of pairs, and the gradient of \(.estimator) \(estimator.rawValue) is more than they say; take cd-rge, jvp, nres or pes"
    )
  }

  private func validateSearch() throws(RunFailure) {
    try require(
      searched.isEmpty || estimator != .fdRGE,
      "\(searchedSettings) cannot go back to a state of \(.estimator) fd-rge yet; give a number")
    try require(
      searchesEpsilon != true || estimator.method?.isUnrolled != true,
      "\(.epsilon) auto is judged by windows that begin with another ε, and the pairs of \(.estimator) \(estimator.rawValue) begin anew with contexts only; give \(.epsilon) a number"
    )
    try require(
      searchesEpsilon != true || searchWindows.map { 6 * lifetime <= $0 } ?? true,
      "\(.epsilon) auto is judged by windows in which pairs begin anew, and \(.lifetime) \(lifetime) is too long for that; give \(.epsilon) a number"
    )
    try require(
      searched.isEmpty || searchWindows != nil,
      "\(searchedSettings) goes through \(SettingSearch.fewestWindows) windows several times, which is more than \(SettingSearch.mostBytes >> 20) MiB of "
        + "tokens here; give a number, or take a shorter \(.window) or fewer \(.streams)")
  }

  private func validateOptimizer() throws(RunFailure) {
    try require(
      isSize(learningRate), "\(.learningRate) \(learningRate) is not a number of at least 0")
    try require(isFraction(momentum), "\(.momentum) \(momentum) is not in [0, 1)")
    try require(isFraction(beta2), "\(.beta2) \(beta2) is not in [0, 1)")
    try require(
      isSize(weightDecay), "\(.weightDecay) \(weightDecay) is not a number of at least 0")
    try require(
      tableRate.map(isSize) ?? true, "\(.tableRate) must be a number of at least 0")
  }

  private func validateData() throws(RunFailure) {
    if let pipe = paths.first(where: DataPath.isPipe), paths.count > 1 {
      throw .usage(
        "\(pipe == "-" ? "standard input" : pipe): a pipe cannot be one of several files; join them before the pipe, as in cat a \(pipe) b | longzoo train -"
      )
    }
    try require(
      (0...(1 << 56)).contains(skipTokens), "\(.skipTokens) \(skipTokens) is not from 0 to 2^56")
    try require(
      expectTokens.map { (0...(1 << 56)).contains($0) } ?? true, "\(.expectTokens) is not from 0 to 2^56")
    try require(
      (10...31).contains(zstdWindowLog), "\(.zstdWindowLog) \(zstdWindowLog) is not from 10 to 31")
    try require(tokensBeforeData ?? 0 >= 0, "the tokens before \(.newData) cannot be fewer than none")
    try require(valFraction >= 0 && valFraction < 1, "\(.holdoutFraction) \(valFraction) is not in [0, 1)")
    try require(
      valPath == nil || valFraction == 0, "\(.heldOutPath) and \(.holdoutFraction) exclude each other")
    try require(
      !isPipe || valFraction == 0,
      "\(.holdoutFraction) needs files; for a pipe give held-out data with \(.heldOutPath)")
    try require(patience.map { $0 >= 1 } ?? true, "\(.patience) must be at least 1 evaluation")
    try require(
      patience == nil || hasHeldOut,
      "\(.patience) waits for a better loss on held-out tokens, and there are none: give \(.heldOutPath) or \(.holdoutFraction)"
    )
    try require(
      patience == nil || evalInterval != 0,
      "\(.patience) needs evaluations on the way, and \(.evalInterval) 0 leaves only the one at the end")
  }

  private func validateRunNumbers() throws(RunFailure) {
    try require(threads >= 1 && threads <= 1024, "\(.threads) \(threads) is not from 1 to 1024")
    try require(maxSeconds.map { $0 > 0 && $0.isFinite } ?? true, "\(.maxSeconds) must be a positive number")
    try require(
      stopAbove.map { $0 >= 0 && $0.isFinite } ?? true, "\(.stopAbove) must be a number of at least 0")
    try require(
      stopBelow.map { $0 > 0 && $0.isFinite } ?? true, "\(.stopBelow) must be a positive number of nats")
    try require(lossWindows.map { $0 >= 1 } ?? true, "\(.lossWindows) must be at least 1")
    try require(maxSteps.map { $0 > 0 } ?? true, "\(.maxSteps) must be at least 1")
    try require(maxTokens.map { $0 > 0 } ?? true, "\(.maxTokens) must be at least 1")
    try require(epochs.map { $0 > 0 && $0.isFinite } ?? true, "\(.epochs) must be a positive number")
    let counts: [(Setting, Int)] = [
      (.warmup, warmup), (.evalInterval, evalInterval ?? 0), (.evalTokens, evalTokens ?? 0),
      (.logInterval, logInterval ?? 0), (.memoryBudget, memoryBudget ?? 0),
      (.memoryBudget, checkpointingBudget ?? 0),
    ]
    for (setting, number) in counts { try require(number >= 0, "\(setting) \(number) is negative") }
    if case .updates(let interval) = saveInterval {
      try require(interval >= 0, "\(.saveInterval) \(interval) is negative")
    }
  }

  private func validateEnd() throws(RunFailure) {
    try require(
      epochs == nil || !isPipe, "\(.epochs) counts passes over files, and a pipe is read once; leave it out")
    try require(
      schedule == .constant || RunLimits(self, trainingTokens: 1).hasEnd,
      "\(.schedule) \(schedule.rawValue) falls to 0 at the end, and nobody knows where this pipe ends: give \(.maxSteps), \(.maxTokens), \(.maxSeconds) or \(.expectTokens)"
    )
  }
}

private func require(_ condition: Bool, _ text: @autoclosure () -> Wording) throws(RunFailure) {
  if !condition { throw .usage(text()) }
}

/// In [0, 1) as 32 bits have it: 1 − 1e-9 is 1 there.
private func isFraction(_ value: Double) -> Bool { value >= 0 && Float(value) < 1 }

/// At least 0, and finite in 32 bits.
private func isSize(_ value: Double) -> Bool { value >= 0 && Float(value).isFinite }
