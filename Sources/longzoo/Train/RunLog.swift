import Foundation
import Memory

/// What a run tells while it goes: the progress line and `metrics.jsonl`.
final class RunLog {
  /// Weight of the newest window in the running means of the meters.
  static let smoothing = 1 / Double(RunConfiguration.defaultLossWindows)

  private let configuration: RunConfiguration
  private let metrics: MetricsLog
  private let line: ProgressLine
  private var lastTime: Double
  private var lastTokens: Int

  init(_ c: RunConfiguration, folder: RunFolder, from progress: RunProgress, quiet: Bool) throws {
    configuration = c
    try MetricsLog.truncate(folder.metricsPath, toStep: progress.step > 0 ? progress.step : -1)
    metrics = try MetricsLog(path: folder.metricsPath)
    line = ProgressLine(
      total: RunLimits(c).totalTokens, initial: progress.tokensPerStream * c.streams, quiet: quiet)
    lastTime = TrainingClock.now()
    lastTokens = progress.tokensPerStream * c.streams
  }

  /// After every update.
  /// - Parameter updateNorm: asked for where a line is written.
  func step(_ p: RunProgress, rate: Double, updateNorm: () -> Double?) throws {
    let tokens = p.tokensPerStream * configuration.streams
    line.update(tokens, note: note(p))
    let now = TrainingClock.now()
    let isDue = configuration.logInterval.map { $0 > 0 && p.step % $0 == 0 } ?? (now - lastTime >= 1)
    guard isDue else { return }
    let elapsed = now - lastTime
    try metrics.append(
      MetricsRecord(
        step: p.step, tokens: tokens, trainLoss: p.smoothedLoss, valLoss: nil, learningRate: rate,
        tokensPerSecond: elapsed > 0 ? Double(tokens - lastTokens) / elapsed : nil,
        residentBytes: ResidentSet.read()?.current, wallSeconds: p.trainSeconds,
        meters: p.meters.readings(configuration.directions, updateNorm: updateNorm())))
    (lastTime, lastTokens) = (now, tokens)
  }

  func evaluation(_ e: Evaluation, _ p: RunProgress) throws {
    line.message(
      "step \(p.step): held out \(Text.number(e.bitsPerToken, 3)) bits/token, train \(Text.bits(p.smoothedLoss)) bits/token"
    )
    try metrics.append(
      MetricsRecord(
        step: p.step, tokens: p.tokensPerStream * configuration.streams, trainLoss: p.smoothedLoss,
        valLoss: e.lossNats, residentBytes: ResidentSet.read()?.current, wallSeconds: p.trainSeconds))
    (lastTime, lastTokens) = (TrainingClock.now(), p.tokensPerStream * configuration.streams)
  }

  /// A search for a learning rate or an ε: a line for every trial, and one for what was chosen.
  func search(_ trials: [SettingSearch.Trial], chosen: TrialValues, _ p: RunProgress) throws {
    let head = "{\"step\":\(p.step),\"tokens\":\(p.tokensPerStream * configuration.streams),"
    for trial in trials {
      try metrics.append(
        line: head
          + "\"\(trial.setting.keys.trial)\":\(JSONText.number(trial.value)),\"search/loss\":\(JSONText.number(trial.loss)),"
          + "\"search/windows\":\(trial.windows)}")
    }
    for setting in configuration.searched {
      try metrics.append(line: head + "\"\(setting.keys.chosen)\":\(JSONText.number(chosen[setting]))}")
      let tried = trials.filter { $0.setting == setting }
        .map { "\(Text.short($0.value)): \(Text.bits($0.loss))" }.joined(separator: ", ")
      let name = setting == .rate ? "learning rate" : "ε"
      line.message("step \(p.step): \(name) \(Text.short(chosen[setting])) (bits of each tried: \(tried))")
    }
  }

  func message(_ text: String) { line.message(text) }

  func finish(_ p: RunProgress) { line.finish(p.tokensPerStream * configuration.streams, note: note(p)) }

  private func note(_ p: RunProgress) -> String {
    let memory = ResidentSet.read().map { " rss " + ByteSize.formatted($0.current) } ?? ""
    return "step \(p.step) loss \(Text.bits(p.smoothedLoss)) bits" + memory + p.meters.trouble
  }
}

/// Numbers as people read them.
enum Text {
  static func number(_ value: Double?, _ digits: Int) -> String {
    value.map { String(format: "%.\(digits)f", $0) } ?? "–"
  }

  /// Three digits.
  static func short(_ value: Double) -> String { String(format: "%.3g", value) }

  /// Nats as bits.
  static func bits(_ nats: Double?) -> String { number(nats.map { $0 / log(2) }, 3) }
}
