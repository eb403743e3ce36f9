import LongzooEstimator
import LongzooModel
import LongzooStream

extension RunConfiguration {
  /// Of the largest matrix, padding left out.
  private var mostEntries: Int { shape.tensors.map { $0.rows * $0.columns }.max() ?? 0 }

  /// Refuses what no run can do.
  /// - Throws: exit code 64, naming the option.
  func validate() throws(RunFailure) {
    try validateValues()
    try validateEnd()
  }

  /// All that the program relies on, wherever a configuration comes from: a run of an earlier version must pass.
  /// - Throws: exit code 64, naming the option.
  func validateValues() throws(RunFailure) {
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
  func validateSettled() throws(RunFailure) {
    try require(
      !replayLog || readout == .zo,
      "--replay-log makes weights again out of the pairs' coefficients, and the gradient of an exact readout is none of their "
        + "functions; take --readout zo")
    try require(
      step != .polyak || optimizer == .sgd,
      "--step polyak sets the size of sgd's step, which \(optimizer.rawValue) does not heed; take --optimizer sgd"
    )
    try require(
      step != .polyak || readout == .zo,
      "--step polyak knows the slopes along the pairs' directions only; take --readout zo")
    try require(
      regime == .shared
        || (estimator == .cdRGE && optimizer == .sgd && momentum == 0 && readout == .zo
          && directions == .rank1
          && searched.isEmpty),
      "--regime inplace is there for --estimator cd-rge with --optimizer sgd, --momentum 0, --readout zo and directions of a single product"
    )
  }

  private func validateFootprint() throws(RunFailure) {
    try require(
      footprint <= Self.largestFootprint,
      "a run of these sizes would take more memory than any machine can address; take a smaller --hidden-size, --vocab-size, --pairs or "
        + "--streams, fewer --layers" + (estimator.isExact ? ", or a shorter --window" : ""))
  }

  private func validateModel() throws(RunFailure) {
    try require(
      (1...ModelShape.largest).contains(vocabularySize),
      "--vocab-size \(vocabularySize) is not from 1 to 2^24"
    )
    try require(
      targets == .all || vocabularySize <= dtype.range(targets),
      "--vocab-size \(vocabularySize): with --targets marked a \(dtype.rawValue) token has only \(dtype.range(.marked)) ids; "
        + "its highest bit is the mark"
    )
    try require(
      (1...ModelShape.largest).contains(hiddenSize), "--hidden-size \(hiddenSize) is not from 1 to 2^24")
    try require(
      heads >= 1 && hiddenSize % max(1, heads) == 0,
      "--heads \(heads) does not divide --hidden-size \(hiddenSize) into whole heads")
    try require(
      hiddenSize / heads <= ModelShape.largestHead,
      "--hidden-size \(hiddenSize) in \(heads) head\(heads == 1 ? "" : "s") is more than 65536 units a head; give more --heads"
    )
    try require(
      (1...ModelShape.maximumLayers).contains(layers),
      "--layers \(layers) is not from 1 to \(ModelShape.maximumLayers)")
    try require(
      vocabularySize * hiddenSize <= ModelShape.largestMatrix,
      "--vocab-size \(vocabularySize) times --hidden-size \(hiddenSize) is more than 2^40")
    try require(
      tokenScale.map(isSize) ?? true, "--token-scale must be a number of at least 0")
    try require(
      tokenScale == nil || initialWeights == nil,
      "--token-scale is for random weights; it means nothing beside --init")
    try require(memorySpan.map { $0 >= 2 } ?? true, "--memory-span must be at least 2 tokens")
    try require(
      memorySpan == nil || initialWeights == nil,
      "--memory-span is for random weights; it means nothing beside --init")
  }

  private func validatePairs() throws(RunFailure) {
    try require((1...(1 << 20)).contains(pairs), "--pairs \(pairs) is not from 1 to \(1 << 20)")
    try require(
      streams >= 1 && streams <= (estimator.hasPairs ? pairs : 1 << 20),
      "--streams \(streams): there must be from 1 to "
        + (estimator.hasPairs ? "as many as --pairs (\(pairs))" : "\(1 << 20)"))
    try require(
      Float(epsilon) > 0 && Float(epsilon).isFinite, "--eps \(epsilon) is not a positive number of 32 bits")
    try require(
      (1...DirectionKind.mostProducts).contains(rank),
      "--rank \(rank) is not from 1 to \(DirectionKind.mostProducts)")
    try require(
      rank == 1 || perturbation == .rank1,
      "--rank is for sums of --perturbation rank1; --perturbation \(perturbation.rawValue) has full rank")
    try require(
      perturbation != .gaussian || estimator != .fdRGE,
      "--estimator fd-rge runs two tiles of directions side by side, which --perturbation gaussian has no room for; take rank1, rademacher or another estimator"
    )
    try require(
      perturbation != .gaussian || mostEntries <= 1 << 28,
      "--perturbation gaussian numbers the entries of a matrix up to 2^28, and here there are more; take rank1 or rademacher"
    )
    try require((1...(1 << 30)).contains(lifetime), "--lifetime \(lifetime) is not at least 1")
    try require(
      isSize(maxDivergence),
      "--max-divergence \(maxDivergence) is not a number of at least 0")
  }

  private func validateWindows() throws(RunFailure) {
    try require(
      !isPipe || streams == 1,
      "standard input and other pipes have one position only: --streams must be 1, or left out")
    if case .tokens(let count) = window {
      try require(count >= 1, "--window must be at least 1 token, or 'context'")
    }
    try require(context >= 0, "--context must not be negative")
    try require(window != .context || context > 0, "--window context needs a --context; 0 never ends")
  }

  private func validateEstimator() throws(RunFailure) {
    if case .every(let tokens) = checkpointing {
      try require(tokens >= 1, "--checkpointing \(tokens): a segment has at least one token")
    }
    try require(
      checkpointing != .binomial || memoryBudget != nil,
      "--checkpointing binomial needs a --memory-budget: it takes what that leaves")
    try require(isSize(clipNorm), "--clip-norm \(clipNorm) is not a number of at least 0")
    try require(
      isFraction(beyondMomentum), "--beyond-momentum \(beyondMomentum) is not in [0, 1)")
    try require(
      creditDecay.map { (0...1).contains($0) } ?? true, "--credit-decay must be a number from 0 to 1")
    if estimator == .node {
      try require(
        tokensOfWindow < 1 << 16,
        "--estimator node keeps a state of every pair for each token of its window, which --window must make shorter than 65536 tokens"
      )
    }
    try require(
      estimator.method?.isUnrolled != true || tokensToReset != nil,
      "--estimator \(estimator.rawValue) keeps its pairs from reset to reset: it needs a --context that ends, and --reset context"
    )
    try require(
      !replayLog || estimator.method != nil,
      "--replay-log keeps the coefficients of pairs, and the gradient of --estimator \(estimator.rawValue) is more than they say; take cd-rge, jvp, nres or pes"
    )
  }

  private func validateSearch() throws(RunFailure) {
    try require(
      searched.isEmpty || estimator != .fdRGE,
      "\(searchedOptions) cannot go back to a state of --estimator fd-rge yet; give a number")
    try require(
      searchesEpsilon != true || estimator.method?.isUnrolled != true,
      "--eps auto is judged by windows that begin with another ε, and the pairs of --estimator \(estimator.rawValue) begin anew with contexts only; give --eps a number"
    )
    try require(
      searchesEpsilon != true || searchWindows.map { 6 * lifetime <= $0 } ?? true,
      "--eps auto is judged by windows in which pairs begin anew, and --lifetime \(lifetime) is too long for that; give --eps a number"
    )
    try require(
      searched.isEmpty || searchWindows != nil,
      "\(searchedOptions) goes through \(SettingSearch.fewestWindows) windows several times, which is more than \(SettingSearch.mostBytes >> 20) MiB of "
        + "tokens here; give a number, or take a shorter --window or fewer --streams")
  }

  private func validateOptimizer() throws(RunFailure) {
    try require(
      isSize(learningRate), "--lr \(learningRate) is not a number of at least 0")
    try require(isFraction(momentum), "--momentum \(momentum) is not in [0, 1)")
    try require(isFraction(beta2), "--beta2 \(beta2) is not in [0, 1)")
    try require(
      isSize(weightDecay), "--weight-decay \(weightDecay) is not a number of at least 0")
    try require(
      tableRate.map(isSize) ?? true, "--table-rate must be a number of at least 0")
  }

  private func validateData() throws(RunFailure) {
    if let pipe = paths.first(where: DataPath.isPipe), paths.count > 1 {
      throw .usage(
        "\(pipe == "-" ? "standard input" : pipe): a pipe cannot be one of several files; join them before the pipe, as in cat a \(pipe) b | longzoo train -"
      )
    }
    try require(
      (0...(1 << 56)).contains(skipTokens), "--skip-tokens \(skipTokens) is not from 0 to 2^56")
    try require(
      expectTokens.map { (0...(1 << 56)).contains($0) } ?? true, "--expect-tokens is not from 0 to 2^56")
    try require(
      (10...31).contains(zstdWindowLog), "--zstd-window-log \(zstdWindowLog) is not from 10 to 31")
    try require(tokensBeforeData ?? 0 >= 0, "the tokens before --new-data cannot be fewer than none")
    try require(valFraction >= 0 && valFraction < 1, "--val-fraction \(valFraction) is not in [0, 1)")
    try require(valPath == nil || valFraction == 0, "--val and --val-fraction exclude each other")
    try require(
      !isPipe || valFraction == 0, "--val-fraction needs files; for a pipe give held-out data with --val")
    try require(patience.map { $0 >= 1 } ?? true, "--patience must be at least 1 evaluation")
    try require(
      patience == nil || hasHeldOut,
      "--patience waits for a better loss on held-out tokens, and there are none: give --val or --val-fraction"
    )
    try require(
      patience == nil || evalInterval != 0,
      "--patience needs evaluations on the way, and --eval-interval 0 leaves only the one at the end")
  }

  private func validateRunNumbers() throws(RunFailure) {
    try require(threads >= 1 && threads <= 1024, "--threads \(threads) is not from 1 to 1024")
    try require(maxSeconds.map { $0 > 0 && $0.isFinite } ?? true, "--max-seconds must be a positive number")
    try require(
      stopAbove.map { $0 >= 0 && $0.isFinite } ?? true, "--stop-above must be a number of at least 0")
    try require(
      stopBelow.map { $0 > 0 && $0.isFinite } ?? true, "--stop-below must be a positive number of nats")
    try require(lossWindows.map { $0 >= 1 } ?? true, "--loss-windows must be at least 1")
    try require(maxSteps.map { $0 > 0 } ?? true, "--max-steps must be at least 1")
    try require(maxTokens.map { $0 > 0 } ?? true, "--max-tokens must be at least 1")
    try require(epochs.map { $0 > 0 && $0.isFinite } ?? true, "--epochs must be a positive number")
    for (option, number) in [
      ("--warmup", warmup), ("--eval-interval", evalInterval ?? 0), ("--eval-tokens", evalTokens ?? 0),
      ("--log-interval", logInterval ?? 0), ("--memory-budget", memoryBudget ?? 0),
      ("--memory-budget", checkpointingBudget ?? 0),
    ] { try require(number >= 0, "\(option) \(number) is negative") }
    if case .updates(let interval) = saveInterval {
      try require(interval >= 0, "--save-interval \(interval) is negative")
    }
  }

  private func validateEnd() throws(RunFailure) {
    try require(
      epochs == nil || !isPipe, "--epochs counts passes over files, and a pipe is read once; leave it out")
    try require(
      schedule == .constant || RunLimits(self, trainingTokens: 1).hasEnd,
      "--lr-schedule \(schedule.rawValue) falls to 0 at the end, and nobody knows where this pipe ends: give --max-steps, --max-tokens, --max-seconds or --expect-tokens"
    )
  }
}

private func require(_ condition: Bool, _ text: @autoclosure () -> String) throws(RunFailure) {
  if !condition { throw .usage(text()) }
}

/// In [0, 1) as 32 bits have it: 1 − 1e-9 is 1 there.
private func isFraction(_ value: Double) -> Bool { value >= 0 && Float(value) < 1 }

/// At least 0, and finite in 32 bits.
private func isSize(_ value: Double) -> Bool { value >= 0 && Float(value).isFinite }
