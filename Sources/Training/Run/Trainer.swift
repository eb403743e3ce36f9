import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooStream

/// The training loop: tokens → population → gradient estimate → optimizer → weights, window after window.
public final class Trainer {
  package let plan: RunPlan
  package let folder: RunFolder
  package let ledger: MemoryLedger
  /// Bytes resident before anything was reserved: the program and its libraries.
  package let programBytes: Int?
  package let transfer: TransferBuffer
  package let model: any TrainingState
  /// The estimator, where it moves anything by ε.
  package let perturbing: (any PerturbingEstimator)?
  package let feed: TokenFeed
  package var progress: RunProgress
  package let supply: TokenSupply
  package let snapshot: StateSnapshot?
  /// The values of a trial that is under way.
  package var trialValues: TrialValues?
  package var searchBudget = SearchBudget()
  /// Nothing is left of the run that a search would fit into.
  package var isSearchOver = false
  /// The last window's loss, in nats; nil where its update was refused.
  package var lastLoss: Double?
  private let pool: ThreadPool
  package let evaluator: HeldOutEvaluator?
  package var rhythm: EvaluationRhythm
  /// What the weights that are held now are worth; nil where they were not measured.
  package var evaluation: Evaluation?
  package let limits: RunLimits
  package let host: RunHost
  /// The folder's metrics, once it is taken.
  private(set) var metrics: RunMetrics?
  package let keeper: CheckpointKeeper
  package private(set) var replayLog: ReplayLog?
  /// What a program wants to have in the folder besides: the run's settings under names of its own.
  package var optionsText: String?
  private let isResumedThere: Bool
  /// The checkpoint that the run was resumed from.
  package let origin: String?
  var clock: TrainingClock
  var lastSave: Double
  /// What the last save and the last window took.
  package var saveSeconds = 0.0
  package var windowSeconds = 0.0
  /// A window was given up half way: there is nothing consistent to save.
  package var isWithinWindow = false
  package var watch = WindowWatch()
  /// The rate of the last update.
  package var usedRate: Double?
  /// Time in the population step; the rest of a run reads, updates and writes.
  package var stepSeconds = 0.0
  /// Where this process began.
  private(set) var start = RunProgress()

  /// - Parameters:
  ///   - resume: the checkpoint to go on from, and its file.
  ///   - isNewData: its position is one in other data, and this data is read from its start.
  ///   - initial: the weights to start from, of --init.
  package init(
    _ c: RunPlan, resume: (state: CheckpointState, file: SafetensorsReader)?,
    isNewData: Bool = false, initial: SafetensorsReader? = nil, folder: RunFolder, host: RunHost,
    ledger: MemoryLedger
  ) throws {
    plan = c
    self.folder = folder
    self.host = host
    clock = TrainingClock(host.clock)
    lastSave = host.clock.now
    self.ledger = ledger
    // It loads OpenBLAS, which is a part of the program.
    pool = try ThreadPool(threads: c.run.threads)
    programBytes = ResidentSet.read()?.current
    try ledger.reserve(c.run.threads * MemoryPlan.bytesPerBLASThread(c), .perturbations, for: "OpenBLAS")
    transfer = try TransferBuffer(ledger: ledger)
    model = try TrainingStates.make(c, pool: pool, ledger: ledger)
    perturbing = model.estimator as? any PerturbingEstimator
    snapshot = !c.searched.isEmpty ? try StateSnapshot(model, ledger: ledger) : nil
    feed = try TokenFeed(
      c.trainingData.read(for: host), resume: isNewData ? nil : resume?.state.position, ledger: ledger)
    supply = try TokenSupply(
      feed, streams: c.streaming.streams, chunk: c.chunk, vocabularySize: c.data.vocabularySize,
      keptChunks: c.keptChunks, ledger: ledger)
    feed.onWaiting { [stop = host.stop] _ in stop() != nil }
    try Self.passOver(isNewData ? 0 : resume?.state.tokensBehindPosition ?? 0, supply, host)
    evaluator = try HeldOutEvaluator(
      c, model, totalTokens: feed.totalTokens, pool: pool, host: host, ledger: ledger)
    progress = resume?.state.progress ?? RunProgress()
    // What was best on other held-out tokens says nothing of these.
    if isNewData, c.data.heldOutPath == nil || c.data.heldOutPath != resume?.state.plan.data.heldOutPath {
      progress.heldOut = nil
    }
    limits = RunLimits(c, trainingTokens: feed.trainingTokens)
    rhythm = EvaluationRhythm(
      c, limits, heldOutTokens: evaluator?.tokens, seconds: progress.trainSeconds)
    origin = resume?.file.path
    isResumedThere = resume.map { RunFolder.isSame($0.file.path, folder.checkpointPath) } ?? false
    keeper = CheckpointKeeper(folder, resumed: isResumedThere ? progress.step : nil)
    replayLog = nil
    if let resume {
      try takeState(resume.state, resume.file)
      try findBestWeights(of: resume.file)
      beginShorterContext()
    } else {
      try model.begin(c, from: initial, through: transfer)
      model.start()
    }
    (model.estimator as? any InterruptibleEstimator)?.isGivenUp = { [unowned self] part in
      let reading = plan.estimator.family.readingShare
      return mustGiveUp(part: reading + (1 - reading) * part)
    }
  }

  private static func passOver(_ tokens: Int, _ supply: TokenSupply, _ host: RunHost) throws {
    let stop = host.isStopped
    do throws(StreamError) {
      try supply.skip(tokens, stop: stop)
    } catch {
      if error.kind != .interrupted { throw error }
    }
    if tokens > 0, host.stop() != nil { throw RunStopped() }
  }

  /// Reads the first tokens of a new run: data that is refused must not cost an earlier run in its folder anything.
  private func awaitTokens() throws {
    let count = min(plan.chunk, windowTokens())
    let got: Int
    do throws(StreamError) {
      got = try supply.prefetch(count)
    } catch {
      if error.kind == .interrupted { throw RunStopped() }
      throw error
    }
    if got == 0 { throw plan.noTokens }
    // Small files have come before anybody is asked.
    if host.stop() != nil { throw RunStopped() }
  }

  /// Makes the folder this run's.
  private func takeFolder() throws {
    if origin == nil { try folder.removeEarlierRun() }
    // That of an earlier end is wrong from the next update on.
    unlink(folder.summaryPath)
    metrics = try RunMetrics(plan, folder: folder, from: progress, clock: host.clock)
    replayLog = try ReplayLog.make(
      plan, model, folder: folder, step: progress.step, isResumedThere: isResumedThere, ledger: ledger)
    try writeConfiguration()
    if let optionsText {
      try AtomicFile.write(to: folder.optionsPath, isOfRun: true) { try $0.write(optionsText) }
    }
  }

  /// `config.json`, for people; a resume reads the copy in the checkpoint.
  private func writeConfiguration() throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let json = String(decoding: try encoder.encode(plan), as: UTF8.self) + "\n"
    try AtomicFile.write(to: folder.configPath, isOfRun: true) { try $0.write(json) }
  }

  /// Trains until a limit, the end of the data or a signal; then saves and evaluates.
  ///
  /// Damaged data ends the run with an error and without a save: what was read of a frame before its checksum failed is in
  /// the weights, and the last window may have been cut short. The last checkpoint has neither.
  public func run() throws -> RunSummary {
    tell(.begins)
    feed.onWaiting { [unowned self] seconds in
      tell(.waits(seconds: seconds, before: feed.waitSeconds))
      return host.stop() != nil
    }
    if origin == nil { try awaitTokens() }
    try takeFolder()
    // So that a run can be resumed from its first step on; but an earlier run's checkpoint stays until there is a better one.
    if progress.step == 0, plan.run.savesWeights, !folder.hasCheckpoint { try save() }
    clock = TrainingClock(host.clock, before: progress.trainSeconds, waited: waitedForPipe)
    start = progress
    let reason = try train()
    progress.trainSeconds = clock.seconds
    tellIfNeverSearched()
    let session = (progress.trainSeconds - start.trainSeconds, sessionColumns)
    if reason != .diverged { try saveAtEnd() }
    try replayLog?.flush()
    tell(.endsTraining)
    let divergence = reason == .diverged ? try returnToLastGood() : nil
    let hasGoodWeights = divergence.map { $0.good != nil } ?? true
    try clock.paused { if hasGoodWeights { try evaluateAtEnd(reason) } }
    tell(.ends)
    let summary = try RunSummary(
      self, stoppedBy: reason, divergence: divergence, evaluation: hasGoodWeights ? evaluation : nil,
      waitSeconds: feed.waitSeconds, stepSeconds: !plan.estimator.family.isExact ? stepSeconds : nil,
      session: session)
    let object = summary.json + "\n"
    try AtomicFile.write(to: folder.summaryPath, isOfRun: true) { try $0.write(object) }
    return summary
  }

  /// Window after window, until there is a reason to stop.
  private func train() throws -> StopReason {
    var reason = stopReason()
    if let reason, progress.step > 0 { tell(.hasNothingLeft(reason)) }
    while reason == nil {
      if let windows = searchWindowsNow(), try !search(windows: windows) {
        reason = stopReason()
        break
      }
      let begin = clock.seconds
      guard try step() else {
        reason = host.stop() != nil ? .signal : isWithinWindow ? .maxSeconds : .endOfData
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
    tell(.updated)
    try metrics?.step(progress, rate: usedRate, updateNorm: { lastUpdateNorm })
    let pace = sessionColumns / max(1e-3, progress.trainSeconds - start.trainSeconds)
    if rhythm.isDue(step: progress.step, seconds: progress.trainSeconds, columnsPerSecond: pace) {
      try clock.paused { try evaluate() }
    }
    keeper.look(step: progress.step, isInDoubt: progress.watch.isInDoubt)
    if isTimeToSave() { try save() }
  }

  /// Token-columns of this process.
  package var sessionColumns: Double {
    Double(progress.tokensPerStream - start.tokensPerStream) * Double(plan.columns)
  }

  /// Seconds that an evaluation of so many held-out tokens will take, by the pace of this process.
  package func expectedSeconds(evaluated tokens: Int) -> Double {
    let seconds = max(1e-3, progress.trainSeconds - start.trainSeconds)
    return rhythm.expectedSeconds(tokens: tokens, columnsPerSecond: sessionColumns / seconds)
  }

  func tell(_ event: RunEvent) { host.observe(event, self) }

  /// The part of the run that is done, 0 … 1, by its nearest limit; nil where there is none.
  public var part: Double? { limits.part(progress, tokens: tokens) }

  /// Tokens that all streams have given.
  public var tokens: Int { progress.tokensPerStream * plan.streaming.streams }

  /// The learning rate before its schedule.
  package var baseRate: Double {
    if let trialValues { return trialValues.rate }
    return plan.optimizer.searchesRate
      ? progress.ratePlan.rate ?? plan.optimizer.learningRate : plan.optimizer.learningRate
  }

  package var epsilon: Double {
    if let trialValues { return trialValues.epsilon }
    return plan.estimator.searchesEpsilon
      ? progress.ratePlan.epsilon ?? plan.estimator.epsilon : plan.estimator.epsilon
  }

  package var learningRate: Double {
    Schedule.rate(
      plan.optimizer.schedule, base: baseRate,
      progress: limits.part(progress, tokens: tokens) ?? 0,
      step: progress.step, warmup: plan.optimizer.warmup)
  }

  /// ‖Δθ‖ of the last window's update.
  package var lastUpdateNorm: Double? {
    progress.meters.lastRate.flatMap { model.lastUpdateNorm(rate: Float($0)) }
  }

  package func stopReason() -> StopReason? {
    if host.stop() != nil { return .signal }
    if progress.watch.isDiverged { return .diverged }
    return limits.reached(progress, tokens: tokens)
  }
}
