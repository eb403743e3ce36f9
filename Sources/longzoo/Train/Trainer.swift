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
    /// Evaluations have not become better.
    case patience
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
  let evaluator: HeldOutEvaluator?
  var rhythm: EvaluationRhythm
  /// Of the weights that are held now; nil where they were not measured.
  var evaluation: Evaluation?
  let limits: RunLimits
  let log: RunLog
  let keeper: CheckpointKeeper
  let replayLog: ReplayLog?
  /// The checkpoint that the run was resumed from.
  let origin: String?
  var clock = TrainingClock()
  var lastSave = TrainingClock.now()
  /// Of the last save, and of the last window.
  var saveSeconds = 0.0
  var windowSeconds = 0.0
  /// A window was given up half way: there is nothing consistent to save.
  var isWithinWindow = false
  var watch = WindowWatch()
  /// The rate of the last update.
  private var usedRate: Double?
  /// Time in the population step; the rest of a run reads, updates and writes.
  private var stepSeconds = 0.0
  /// Where this process began.
  private var start = RunProgress()

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
      c, model, totalTokens: feed.totalTokens, pool: pool, ledger: ledger)
    progress = resume?.state.progress ?? RunProgress()
    limits = RunLimits(c, trainingTokens: feed.trainingTokens)
    rhythm = EvaluationRhythm(
      c, limits, heldOutTokens: evaluator?.tokens, seconds: progress.trainSeconds)
    log = try RunLog(c, limits, folder: folder, from: progress, quiet: quiet)
    origin = resume?.file.path
    let isResumedThere = resume.map { RunFolder.isSame($0.file.path, folder.checkpointPath) } ?? false
    keeper = CheckpointKeeper(folder, resumed: isResumedThere ? progress.step : nil)
    replayLog = try ReplayLog.make(
      c, model, folder: folder, step: progress.step, isResumedThere: isResumedThere, ledger: ledger)
    if let resume {
      try takeState(resume.state, resume.file)
      try findBestWeights(of: resume.file)
      beginShorterContext()
    } else {
      try model.begin(c, from: c.initialWeights.map { try SafetensorsReader(path: $0) }, through: transfer)
      model.start()
    }
    try writeConfiguration()
    (model.estimator as? any InterruptibleEstimator)?.isGivenUp = { [unowned self] part in
      mustGiveUp(part: readingShare + (1 - readingShare) * part)
    }
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
    log.begin(Announcement(self).lines)
    // So that a run can be resumed from its first step on; but an earlier run's checkpoint stays until there is a better one.
    if progress.step == 0, configuration.savesWeights, !folder.hasCheckpoint { try save() }
    clock = TrainingClock(before: progress.trainSeconds)
    start = progress
    Signals.enter(.training)
    let reason = try train()
    progress.trainSeconds = clock.seconds
    tellIfNeverSearched()
    let session = (progress.trainSeconds - start.trainSeconds, sessionColumns)
    if reason != .diverged { try saveAtEnd() }
    try replayLog?.flush()
    log.finish(progress)
    let divergence = reason == .diverged ? try returnToLastGood() : nil
    let hasGoodWeights = divergence.map { $0.good != nil } ?? true
    try clock.paused { if hasGoodWeights { try evaluateAtEnd(reason) } }
    return try RunSummary(
      self, stoppedBy: reason, divergence: divergence, evaluation: hasGoodWeights ? evaluation : nil,
      waitSeconds: feed.waitSeconds, stepSeconds: !configuration.estimator.isExact ? stepSeconds : nil,
      session: session)
  }

  /// Window after window, until there is a reason to stop.
  private func train() throws -> StopReason {
    var reason = stopReason()
    if let reason, progress.step > 0 { log.message(Announcement.nothingLeft(reason, progress)) }
    feed.onWaiting { Signals.received != nil }
    while reason == nil {
      if let windows = searchWindowsNow(), try !search(windows: windows) {
        reason = stopReason()
        break
      }
      let begin = TrainingClock.now()
      guard try step() else {
        reason = Signals.received != nil ? .signal : isWithinWindow ? .maxSeconds : .endOfData
        break
      }
      windowSeconds = TrainingClock.now() - begin
      searchBudget.add(seconds: windowSeconds)
      try afterStep()
      reason = stopReason()
    }
    if reason == .endOfData, progress.step == 0 {
      let name = configuration.isPipe ? "standard input" : configuration.paths[0]
      throw RunFailure.badData(
        "\(name): fewer than two tokens, and nothing to learn from; is the producer alive?")
    }
    if reason != .signal, progress.watch.endsDiverged { reason = .diverged }
    return reason!
  }

  /// The part of a window's work that is done while its tokens come; the rest is back-propagation.
  private var readingShare: Double {
    switch configuration.estimator {
    case .cdRGE, .fdRGE, .jvp, .nres, .pes, .node: 1
    case .hybrid: 0.4
    case .bptt, .tbptt: 0
    }
  }

  /// One window, one update. False at the end of the data, or when the window was given up.
  func step() throws -> Bool {
    let wanted = windowTokens()
    var read = 0
    watch.begin(tokens: wanted)
    defer { isWithinWindow = read > 0 }
    while read < wanted {
      let count = min(configuration.chunk, wanted - read)
      guard read == 0 || !mustGiveUp(part: readingShare * Double(read) / Double(wanted)),
        let got = try fillRows(count)
      else { return false }
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
  private func mustGiveUp(part: Double) -> Bool {
    watch.look(
      signalAge: Signals.secondsSince, seconds: clock.seconds, limit: configuration.maxSeconds)
    if trialValues == nil { log.within(progress, part: part, of: &watch) }
    return watch.isGivenUp
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
    evaluation = nil
    progress.trainSeconds = clock.seconds
    try log.step(progress, rate: usedRate, updateNorm: { lastUpdateNorm })
    let pace = sessionColumns / max(1e-3, progress.trainSeconds - start.trainSeconds)
    if rhythm.isDue(step: progress.step, seconds: progress.trainSeconds, columnsPerSecond: pace) {
      try clock.paused { try evaluate() }
    }
    keeper.look(step: progress.step, isInDoubt: progress.watch.isInDoubt)
    if isTimeToSave() { try save() }
  }

  /// Token-columns of this process.
  var sessionColumns: Double {
    Double(progress.tokensPerStream - start.tokensPerStream) * Double(configuration.columns)
  }

  /// Seconds that an evaluation of so many held-out tokens will take, by the pace of this process.
  func expectedSeconds(evaluated tokens: Int) -> Double {
    let seconds = max(1e-3, progress.trainSeconds - start.trainSeconds)
    return rhythm.expectedSeconds(tokens: tokens, columnsPerSecond: sessionColumns / seconds)
  }

  /// The window's length: up to the end of the context, so that a context's last window may be short. At least one token.
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
      progress: limits.part(progress, tokens: tokens) ?? 0,
      step: progress.step, warmup: configuration.warmup)
  }

  /// ‖Δθ‖ of the last window's update.
  var lastUpdateNorm: Double? {
    progress.meters.lastRate.flatMap { model.lastUpdateNorm(rate: Float($0)) }
  }

  func stopReason() -> StopReason? {
    if Signals.received != nil { return .signal }
    if progress.watch.isDiverged { return .diverged }
    return limits.reached(progress, tokens: tokens)
  }
}
