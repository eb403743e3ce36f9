import LongzooMemory

/// The lines of `metrics.jsonl`.
final class RunMetrics {
  private let plan: RunPlan
  private let clock: any WallClock
  private let log: MetricsLog
  private var lastTime: Double
  private var lastTokens: Int
  /// Training seconds at the last line.
  private var lastSeconds: Double

  init(
    _ c: RunPlan, folder: RunFolder, from progress: RunProgress, clock: any WallClock
  ) throws {
    plan = c
    self.clock = clock
    try MetricsLog.truncate(folder.metricsPath, toStep: progress.step > 0 ? progress.step : -1)
    log = try MetricsLog(path: folder.metricsPath)
    lastTime = clock.now
    lastTokens = progress.tokensPerStream * c.streaming.streams
    lastSeconds = progress.trainSeconds
  }

  /// After every update.
  /// - Parameters:
  ///   - rate: the update's; nil where it was refused.
  ///   - updateNorm: asked for where a line is written.
  func step(_ p: RunProgress, rate: Double?, updateNorm: () -> Double?) throws {
    let (now, tokens) = (clock.now, p.tokensPerStream * plan.streaming.streams)
    let isDue = plan.run.logInterval.map { $0 > 0 && p.step % $0 == 0 } ?? (now - lastTime >= 1)
    guard isDue else { return }
    let elapsed = p.trainSeconds - lastSeconds
    try log.append(
      MetricsRecord(
        step: p.step, tokens: tokens, trainLoss: p.smoothedLoss, valLoss: nil, learningRate: rate,
        tokensPerSecond: elapsed > 0 ? Double(tokens - lastTokens) / elapsed : nil,
        residentBytes: ResidentSet.read()?.current, wallSeconds: p.trainSeconds,
        meters: p.meters.readings(plan.directions, updateNorm: updateNorm())))
    note(now, p)
  }

  func evaluation(_ e: Evaluation, _ p: RunProgress) throws {
    try log.append(
      MetricsRecord(
        step: p.step, tokens: p.tokensPerStream * plan.streaming.streams, trainLoss: p.smoothedLoss,
        valLoss: e.lossNats, residentBytes: ResidentSet.read()?.current, wallSeconds: p.trainSeconds))
    note(clock.now, p)
  }

  private func note(_ now: Double, _ p: RunProgress) {
    (lastTime, lastTokens, lastSeconds) = (now, p.tokensPerStream * plan.streaming.streams, p.trainSeconds)
  }

  /// A search for a learning rate or an ε: a line for every trial, and one for what was chosen.
  func search(_ trials: [SettingSearch.Trial], chosen: TrialValues, _ p: RunProgress) throws {
    let head = "{\"step\":\(p.step),\"tokens\":\(p.tokensPerStream * plan.streaming.streams),"
    for trial in trials {
      try log.append(
        line: head
          + "\"\(trial.setting.keys.trial)\":\(JSONText.number(trial.value)),\"search/loss\":\(JSONText.number(trial.loss)),"
          + "\"search/windows\":\(trial.windows)}")
    }
    for setting in plan.searched {
      try log.append(line: head + "\"\(setting.keys.chosen)\":\(JSONText.number(chosen[setting]))}")
    }
  }
}
