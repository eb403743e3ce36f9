import ArgumentParser
import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooStream

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
  let perturbing: (any PerturbingEstimator)?
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
  var lastLoss: Double?
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
  var usedRate: Double?
  /// Time in the population step; the rest of a run reads, updates and writes.
  var stepSeconds = 0.0
  /// Where this process began.
  private var start = RunProgress()

  /// - Parameters:
  ///   - resume: the checkpoint to go on from, and its file.
  ///   - isNewData: its position is one in other data, and this data is read from its start.
  ///   - initial: the weights to start from, of --init.
  init(
    _ c: RunConfiguration, resume: (state: CheckpointState, file: SafetensorsReader)?,
    isNewData: Bool = false, initial: SafetensorsReader? = nil, folder: RunFolder, quiet: Bool,
    ledger: MemoryLedger
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
    feed = try TokenFeed(
      c.trainingData.warning(), resume: isNewData ? nil : resume?.state.position, ledger: ledger)
    supply = try TokenSupply(
      feed, streams: c.streams, chunk: c.chunk, keptChunks: c.keptChunks, ledger: ledger)
    feed.onWaiting { _ in Signals.received != nil }
    try Self.passOver(isNewData ? 0 : resume?.state.tokensBehindPosition ?? 0, supply)
    evaluator = try HeldOutEvaluator(
      c, model, totalTokens: feed.totalTokens, pool: pool, ledger: ledger)
    progress = resume?.state.progress ?? RunProgress()
    // What was best on other held-out tokens says nothing of these.
    if isNewData, c.valPath == nil || c.valPath != resume?.state.configuration.valPath {
      progress.heldOut = nil
    }
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
      try model.begin(c, from: initial, through: transfer)
      model.start()
    }
    try writeConfiguration()
    (model.estimator as? any InterruptibleEstimator)?.isGivenUp = { [unowned self] part in
      mustGiveUp(part: readingShare + (1 - readingShare) * part)
    }
  }

  /// A signal that comes meanwhile ends the run, of which nothing has changed.
  private static func passOver(_ tokens: Int, _ supply: TokenSupply) throws {
    do {
      try supply.skip(tokens) { Signals.received != nil }
    } catch  where error.kind == .interrupted {}
    if tokens > 0, let signal = Signals.received { throw ExitCode(ExitStatus.signal(signal)) }
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
    clock = TrainingClock(before: progress.trainSeconds, waited: waitedForPipe)
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
    log.end()
    return try RunSummary(
      self, stoppedBy: reason, divergence: divergence, evaluation: hasGoodWeights ? evaluation : nil,
      waitSeconds: feed.waitSeconds, stepSeconds: !configuration.estimator.isExact ? stepSeconds : nil,
      session: session)
  }

  /// Window after window, until there is a reason to stop.
  private func train() throws -> StopReason {
    var reason = stopReason()
    if let reason, progress.step > 0 { log.message(Announcement.nothingLeft(reason, progress)) }
    feed.onWaiting { [log, feed] seconds in
      log.wait(seconds: seconds, before: feed.waitSeconds)
      return Signals.received != nil
    }
    while reason == nil {
      if let windows = searchWindowsNow(), try !search(windows: windows) {
        reason = stopReason()
        break
      }
      let begin = clock.seconds
      guard try step() else {
        reason = Signals.received != nil ? .signal : isWithinWindow ? .maxSeconds : .endOfData
        break
      }
      windowSeconds = clock.seconds - begin
      searchBudget.add(seconds: windowSeconds)
      try afterStep()
      reason = stopReason()
    }
    try requireTargets(reason)
    if reason != .signal, progress.watch.endsDiverged { reason = .diverged }
    return reason!
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

  var learningRate: Double {
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
