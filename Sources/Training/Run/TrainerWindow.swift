import LongzooEstimator
import LongzooMemory
import LongzooStream

/// One window: its tokens, its estimate, its update.
extension Trainer {
  /// One window, one update. False at the end of the data, or when the window was given up.
  package func step() throws -> Bool {
    let wanted = windowTokens()
    var read = 0
    watch.begin(tokens: wanted, trained: clock.seconds)
    defer { (isWithinWindow, watch.tokensRead) = (read > 0, read) }
    while read < wanted {
      let count = min(plan.chunk, wanted - read)
      guard
        read == 0 || !mustGiveUp(part: plan.estimator.family.readingShare * Double(read) / Double(wanted)),
        let got = try fillRows(count)
      else { return false }
      if got == 0 { break }
      // Only once there are tokens: what begins a window changes states, and a window that fails must not have begun.
      if read == 0 {
        perturbing?.epsilon = Float(epsilon)
        model.estimator.beginWindow(progress.step)
        replayLog?.beginWindow()
      }
      let tokens = supply.rows.block(got)
      replayLog?.add(tokens)
      let start = host.clock.now
      model.estimator.consume(tokens)
      stepSeconds += host.clock.now - start
      read += got
      if got < count { break }
    }
    guard read > 0 else { return false }
    let result = model.estimator.finishWindow(tokens: read)
    if watch.isGivenUp { return false }
    usedRate = result.hasGradient ? learningRate : nil
    if let usedRate { model.update(rate: Float(usedRate)) }
    progress.meters.add(result.meters, rate: usedRate)
    note(result, tokens: read)
    if trialValues == nil {
      try replayLog?.endWindow(
        step: progress.step, rate: usedRate.map { Float($0) },
        contextBegins: progress.tokensInContext == 0)
    }
    read = 0
    return true
  }

  /// Asked before each chunk, and by estimators whose windows end with long work.
  ///
  /// A window that is quick is finished. One that is not is given up, a second after the signal or a tenth after the time limit.
  /// - Parameter part: of the window's work that is done.
  package func mustGiveUp(part: Double) -> Bool {
    watch.look(
      isStopped: host.stop() != nil, seconds: clock.seconds, limit: plan.limits.maxSeconds)
    if trialValues == nil {
      tell(.isWithinUpdate(part: part, tokens: watch.tokens, seconds: watch.seconds))
    }
    return watch.isGivenUp
  }

  /// nil when the wait for a quiet pipe was given up.
  private func fillRows(_ count: Int) throws -> Int? {
    do {
      return try supply.fill(count)
    } catch  where error.kind == .interrupted {
      return nil
    }
  }

  private func note(_ result: any GradientResult, tokens: Int) {
    lastLoss = result.refusal == nil ? result.loss : nil
    if let refusal = result.refusal {
      progress.refusedUpdates += 1
      if trialValues == nil { tell(.refused(update: progress.step + 1, reason: refusal)) }
    } else if result.targets > 0 {
      progress.smoothedLoss =
        progress.smoothedLoss.map { $0 + plan.lossSmoothing * (result.loss - $0) } ?? result.loss
    }
    if result.targets > 0 || result.refusal != nil {
      progress.watch.add(
        loss: lastLoss, limit: plan.highestLoss)
      progress.ratePlan.add(loss: lastLoss, step: progress.step)
    }
    progress.step += 1
    progress.tokensPerStream += tokens
    progress.targets += result.targets
    progress.tokensInContext += tokens
    if let context = plan.tokensToReset { beginContexts(of: context) }
  }

  /// Streams whose context is over begin another one.
  private func beginContexts(of context: Int) {
    let isOver = progress.tokensInContext >= context
    if isOver { progress.tokensInContext = 0 }
    if let contexts = plan.staggeredContexts {
      for stream in contexts.streams(beginningAt: progress.tokensInContext) {
        model.estimator.beginContext(ofStream: stream)
      }
    } else if isOver {
      model.estimator.beginContext()
    }
  }

  /// The window's length: up to the end of the context, so that a context's last window may be short. At least one token.
  func windowTokens() -> Int {
    let rest = plan.tokensToReset.map { $0 - progress.tokensInContext } ?? .max
    switch plan.streaming.window {
    case .tokens(let count): return min(count, rest)
    case .context: return min(plan.streaming.context, rest)
    }
  }
}
