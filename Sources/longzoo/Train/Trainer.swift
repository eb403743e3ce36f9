import Estimator
import Foundation
import Memory
import Model
import Stream

/// The training loop: tokens → population → gradient estimate → optimizer → weights, window after window.
final class Trainer {
  enum StopReason: String {
    case maxSteps = "max-steps"
    case maxTokens = "max-tokens"
    case maxSeconds = "max-seconds"
    case stopBelow = "stop-below"
    case endOfData = "end-of-data"
    case signal
    case diverged
  }

  let configuration: RunConfiguration
  let folder: RunFolder
  let ledger: MemoryLedger
  /// Bytes resident before anything was reserved: the program and its libraries.
  let programBytes: Int?
  let transfer: TransferBuffer
  let model: any TrainingState
  /// The estimator, where it moves anything by ε.
  private let perturbing: (any PerturbingEstimator)?
  let feed: TokenFeed
  var progress: RunProgress
  let supply: TokenSupply
  let snapshot: StateSnapshot?
  /// Of a trial that is under way.
  var trialValues: TrialValues?
  var searchBudget = SearchBudget()
  /// Nothing is left of the run that a search would fit into.
  var isSearchOver = false
  /// Of the last window; nil where its update was refused.
  private(set) var lastLoss: Double?
  private let pool: ThreadPool
  private let evaluator: HeldOutEvaluator?
  let log: RunLog
  let keeper: CheckpointKeeper
  let replayLog: ReplayLog?
  /// The checkpoint that the run was resumed from.
  let origin: String?
  private(set) var clock = TrainingClock()
  var lastSave = TrainingClock.now()
  /// A window was given up half way: there is nothing consistent to save.
  var isWithinWindow = false
  /// Time in the population step; the rest of a run reads, updates and writes.
  private var stepSeconds = 0.0

  /// - Parameter resume: the checkpoint to go on from, and its file.
  init(
    _ c: RunConfiguration, resume: (state: CheckpointState, file: SafetensorsReader)?, folder: RunFolder,
    quiet: Bool, ledger: MemoryLedger
  ) throws {
    configuration = c
    self.folder = folder
    self.ledger = ledger
    // It loads OpenBLAS, which is a part of the program.
    pool = try ThreadPool(threads: c.threads)
    programBytes = ResidentSet.read()?.current
    try ledger.reserve(c.threads * MemoryPlan.bytesPerBLASThread(c), .perturbations, for: "OpenBLAS")
    transfer = try TransferBuffer(ledger: ledger)
    model = try TrainingStates.make(c, pool: pool, ledger: ledger)
    perturbing = model.estimator as? any PerturbingEstimator
    snapshot = !c.searched.isEmpty ? try StateSnapshot(model, ledger: ledger) : nil
    feed = try TokenFeed(c.trainingData, resume: resume?.state.position, ledger: ledger)
    supply = try TokenSupply(
      feed, streams: c.streams, chunk: c.chunk, keptChunks: c.keptChunks, ledger: ledger)
    try supply.skip(resume?.state.tokensBehindPosition ?? 0)
    evaluator = try HeldOutEvaluator(
      c, model, totalTokens: feed.totalTokens, ledger: ledger)
    progress = resume?.state.progress ?? RunProgress()
    log = try RunLog(c, folder: folder, from: progress, quiet: quiet)
    origin = resume?.file.path
    let isResumedThere = resume.map { RunFolder.isSame($0.file.path, folder.checkpointPath) } ?? false
    keeper = CheckpointKeeper(folder, resumed: isResumedThere ? progress.step : nil)
    replayLog = try ReplayLog.make(
      c, model, folder: folder, step: progress.step, isResumedThere: isResumedThere, ledger: ledger)
    if let resume {
      try takeState(resume.state, resume.file)
    } else {
      try model.begin(c, from: c.initialWeights.map { try SafetensorsReader(path: $0) }, through: transfer)
      model.start()
    }
    try writeConfiguration()
  }

  /// `config.json`, for people; a resume reads the copy in the checkpoint.
  private func writeConfiguration() throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let json = String(decoding: try encoder.encode(configuration), as: UTF8.self) + "\n"
    try AtomicFile.write(to: folder.configPath, isOfRun: true) { try $0.write(json) }
  }

  /// Trains until a limit, the end of the data or a signal; then saves and evaluates.
  ///
  /// Damaged data ends the run with an error and without a save: what was read of a frame before its checksum failed is in
  /// the weights, and the last window may have been cut short. The last checkpoint has neither.
  func run() throws -> RunSummary {
    // So that a run can be resumed from its first step on; but an earlier run's checkpoint stays until there is a better one.
    if progress.step == 0, configuration.savesWeights, !folder.hasCheckpoint { try save() }
    clock = TrainingClock(before: progress.trainSeconds)
    let before = progress
    var reason = stopReason()
    feed.onWaiting { Signals.received != nil }
    while reason == nil {
      if let windows = searchWindowsNow(), try !search(windows: windows) {
        reason = stopReason()
        break
      }
      let begin = TrainingClock.now()
      guard try step() else {
        reason = Signals.received == nil ? .endOfData : .signal
        break
      }
      searchBudget.add(seconds: TrainingClock.now() - begin)
      try afterStep()
      reason = stopReason()
    }
    if reason == .endOfData, progress.step == 0 {
      let name = configuration.isPipe ? "standard input" : configuration.paths[0]
      throw RunFailure.badData(
        "\(name): fewer than two tokens, and nothing to learn from; is the producer alive?")
    }
    progress.trainSeconds = clock.seconds
    tellIfNeverSearched()
    if reason != .signal, progress.watch.endsDiverged { reason = .diverged }
    if reason != .diverged, !isWithinWindow, configuration.savesWeights {
      try save()
      keeper.finish(isInDoubt: progress.watch.isInDoubt)
    }
    try replayLog?.flush()
    log.finish(progress)
    let session = (
      progress.trainSeconds - before.trainSeconds,
      Double((progress.tokensPerStream - before.tokensPerStream) * configuration.columns)
    )
    let divergence = reason == .diverged ? try returnToLastGood() : nil
    let hasGoodWeights = divergence.map { $0.good != nil } ?? true
    let evaluation = try clock.paused { reason == .signal || !hasGoodWeights ? nil : try evaluate() }
    return try RunSummary(
      self, stoppedBy: reason!, divergence: divergence, evaluation: evaluation, waitSeconds: feed.waitSeconds,
      stepSeconds: !configuration.estimator.isExact ? stepSeconds : nil,
      session: session)
  }

  /// One window, one update. False at the end of the data, or when a signal comes while a pipe is quiet.
  func step() throws -> Bool {
    let wanted = windowTokens()
    var read = 0
    while read < wanted {
      let count = min(configuration.chunk, wanted - read)
      guard let got = try fillRows(count) else {
        isWithinWindow = read > 0
        return false
      }
      if got == 0 { break }
      // Only once there are tokens: what begins a window changes states, and a window that fails must not have begun.
      if read == 0 {
        perturbing?.epsilon = Float(epsilon)
        model.estimator.beginWindow(progress.step)
        replayLog?.beginWindow()
      }
      replayLog?.add(supply.rows.values.pointer, stride: supply.rows.stride, count: got)
      let start = TrainingClock.now()
      model.estimator.consume(supply.rows.values.pointer, stride: supply.rows.stride, count: got)
      stepSeconds += TrainingClock.now() - start
      read += got
      if got < count { break }
    }
    guard read > 0 else { return false }
    let result = model.estimator.finishWindow(tokens: read)
    let rate = result.hasGradient ? learningRate : nil
    if let rate { model.update(rate: Float(rate)) }
    progress.meters.add(result.meters, rate: rate)
    note(result, tokens: read)
    if trialValues == nil {
      try replayLog?.endWindow(
        step: progress.step, rate: rate.map { Float($0) },
        contextBegins: progress.tokensInContext == 0)
    }
    return true
  }

  /// nil when the wait for a quiet pipe was given up.
  private func fillRows(_ count: Int) throws -> Int? {
    do {
      return try supply.fill(count)
    } catch  where error.code == .interrupted {
      return nil
    }
  }

  private func note(_ result: any GradientResult, tokens: Int) {
    lastLoss = result.refusal == nil ? result.loss : nil
    if let refusal = result.refusal {
      progress.refusedUpdates += 1
      if trialValues == nil { log.message("update \(progress.step + 1) refused: \(refusal)") }
    } else if result.targets > 0 {
      progress.smoothedLoss =
        progress.smoothedLoss.map { $0 + configuration.lossSmoothing * (result.loss - $0) } ?? result.loss
    }
    if result.targets > 0 || result.refusal != nil {
      progress.watch.add(
        loss: lastLoss, limit: configuration.highestLoss)
      progress.ratePlan.add(loss: lastLoss, step: progress.step)
    }
    progress.step += 1
    progress.tokensPerStream += tokens
    progress.targets += result.targets
    progress.tokensInContext += tokens
    if let context = configuration.tokensToReset { beginContexts(of: context) }
  }

  /// Streams whose context is over begin another one.
  private func beginContexts(of context: Int) {
    let isOver = progress.tokensInContext >= context
    if isOver { progress.tokensInContext = 0 }
    if let contexts = configuration.staggeredContexts {
      for stream in contexts.streams(beginningAt: progress.tokensInContext) {
        model.estimator.beginContext(ofStream: stream)
      }
    } else if isOver {
      model.estimator.beginContext()
    }
  }

  private func afterStep() throws {
    progress.trainSeconds = clock.seconds
    try log.step(progress, rate: learningRate, updateNorm: { lastUpdateNorm })
    if configuration.evalInterval > 0, progress.step % configuration.evalInterval == 0 {
      try clock.paused { _ = try evaluate() }
    }
    keeper.look(step: progress.step, isInDoubt: progress.watch.isInDoubt)
    if isTimeToSave() { try save() }
  }

  /// The window's length: up to the end of the context, so that a context's last window may be short.
  private func windowTokens() -> Int {
    let rest = configuration.tokensToReset.map { $0 - progress.tokensInContext } ?? .max
    switch configuration.window {
    case .tokens(let count): return min(count, rest)
    case .context: return min(configuration.context, rest)
    }
  }

  var tokens: Int { progress.tokensPerStream * configuration.streams }

  /// The learning rate before its schedule.
  var baseRate: Double {
    if let trialValues { return trialValues.rate }
    return configuration.searchesRate
      ? progress.ratePlan.rate ?? configuration.learningRate : configuration.learningRate
  }

  var epsilon: Double {
    if let trialValues { return trialValues.epsilon }
    return configuration.searchesEpsilon == true
      ? progress.ratePlan.epsilon ?? configuration.epsilon : configuration.epsilon
  }

  private var learningRate: Double {
    Schedule.rate(
      configuration.schedule, base: baseRate,
      progress: limits.progress(progress, tokens: tokens),
      step: progress.step, warmup: configuration.warmup)
  }

  /// ‖Δθ‖ of the last window's update.
  var lastUpdateNorm: Double? {
    progress.meters.lastRate.flatMap { model.lastUpdateNorm(rate: Float($0)) }
  }

  private var limits: RunLimits { RunLimits(configuration) }

  func stopReason() -> StopReason? {
    if Signals.received != nil { return .signal }
    if progress.watch.isDiverged { return .diverged }
    return limits.reached(progress, tokens: tokens)
  }

  private func evaluate() throws -> Evaluation? {
    guard let evaluator else { return nil }
    let evaluation = try evaluator.evaluate(stop: { Signals.received != nil })
    if let evaluation { try log.evaluation(evaluation, progress) }
    return evaluation
  }
}
