import Foundation
import LongzooMemory

/// What a run tells while it goes: the progress line and `metrics.jsonl`.
final class RunLog {
  /// Weight of the newest window in the running means of the meters.
  static let smoothing = 1 / Double(RunConfiguration.defaultLossWindows)

  private let configuration: RunConfiguration
  private let limits: RunLimits
  private let metrics: MetricsLog
  private let line: ProgressLine
  private var lastTime: Double
  private var lastTokens: Int
  /// Training seconds at the last line.
  private var lastSeconds: Double

  init(
    _ c: RunConfiguration, _ limits: RunLimits, folder: RunFolder, from progress: RunProgress, quiet: Bool
  ) throws {
    configuration = c
    self.limits = limits
    try MetricsLog.truncate(folder.metricsPath, toStep: progress.step > 0 ? progress.step : -1)
    metrics = try MetricsLog(path: folder.metricsPath)
    line = ProgressLine(
      total: limits.totalTokens, initial: progress.tokensPerStream * c.streams, quiet: quiet)
    lastTime = TrainingClock.now()
    lastTokens = progress.tokensPerStream * c.streams
    lastSeconds = progress.trainSeconds
  }

  /// While a pipe is quiet: nothing for the first second, which a busy one may take as well.
  func wait(seconds: Double, before: Double) {
    line.waited = before + seconds
    if seconds >= 1 { line.wait(for: "data") }
  }

  /// Before the first update.
  func begin(_ lines: [String]) { for text in lines { line.message(text) } }

  /// After every update.
  /// - Parameters:
  ///   - rate: the update's; nil where it was refused.
  ///   - updateNorm: asked for where a line is written.
  func step(_ p: RunProgress, rate: Double?, updateNorm: () -> Double?) throws {
    let tokens = p.tokensPerStream * configuration.streams
    line.update(tokens, part: limits.part(p, tokens: tokens), secondsLeft: secondsLeft(p), note: note(p))
    let now = TrainingClock.now()
    let isDue = configuration.logInterval.map { $0 > 0 && p.step % $0 == 0 } ?? (now - lastTime >= 1)
    guard isDue else { return }
    let elapsed = p.trainSeconds - lastSeconds
    try metrics.append(
      MetricsRecord(
        step: p.step, tokens: tokens, trainLoss: p.smoothedLoss, valLoss: nil, learningRate: rate,
        tokensPerSecond: elapsed > 0 ? Double(tokens - lastTokens) / elapsed : nil,
        residentBytes: ResidentSet.read()?.current, wallSeconds: p.trainSeconds,
        meters: p.meters.readings(configuration.directions, updateNorm: updateNorm())))
    (lastTime, lastTokens, lastSeconds) = (now, tokens, p.trainSeconds)
  }

  /// Within an update that takes long.
  /// - Parameter part: of the window's work that is done.
  func within(_ p: RunProgress, part: Double, of watch: inout WindowWatch) {
    guard watch.seconds > Self.longWindow else { return }
    let window = watch.tokens * configuration.streams
    if let seconds = watch.expectedSeconds(part: part) {
      line.message(Announcement.longUpdate(tokens: window, seconds: seconds))
    }
    let tokens = p.tokensPerStream * configuration.streams + Int(part * Double(window))
    let left = configuration.maxSeconds.map { max(0, $0 - p.trainSeconds - watch.seconds) }
    line.update(tokens, part: limits.part(p, tokens: tokens), secondsLeft: left, note: note(p))
  }

  private static let longWindow = 0.3

  /// Training seconds that a time limit leaves.
  private func secondsLeft(_ p: RunProgress) -> Double? {
    configuration.maxSeconds.map { max(0, $0 - p.trainSeconds) }
  }

  /// While held-out tokens are measured.
  func evaluating(_ tokens: Int, of total: Int?) {
    line.updateText {
      "evaluating: "
        + (total.map { "\(100 * tokens / max(1, $0)) % of \(ProgressLine.scaled(Double($0)))" }
          ?? ProgressLine.scaled(Double(tokens))) + " held-out tokens"
    }
  }

  func evaluation(_ e: Evaluation, _ p: RunProgress) throws {
    var text = "update \(p.step): held out \(Text.number(e.bitsPerToken, 3)) bits/token"
    if let best = p.heldOut?.best {
      text +=
        best.step == p.step
        ? " (the best so far)" : " (best: \(Text.bits(best.lossNats)) at update \(best.step))"
    }
    let windows = configuration.lossWindows ?? RunConfiguration.defaultLossWindows
    line.message(text + ", training \(Text.bits(p.smoothedLoss)) (mean of about \(windows) windows)")
    try metrics.append(
      MetricsRecord(
        step: p.step, tokens: p.tokensPerStream * configuration.streams, trainLoss: p.smoothedLoss,
        valLoss: e.lossNats, residentBytes: ResidentSet.read()?.current, wallSeconds: p.trainSeconds))
    (lastTime, lastTokens) = (TrainingClock.now(), p.tokensPerStream * configuration.streams)
    lastSeconds = p.trainSeconds
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

  func finish(_ p: RunProgress) {
    let tokens = p.tokensPerStream * configuration.streams
    line.finish(tokens, part: limits.part(p, tokens: tokens), secondsLeft: secondsLeft(p), note: note(p))
  }

  /// After the last evaluation: a result follows.
  func end() { line.clear() }

  private func note(_ p: RunProgress) -> String {
    let memory = ResidentSet.read().map { ", memory " + ByteSize.formatted($0.current) } ?? ""
    return "update \(p.step), loss \(Text.bits(p.smoothedLoss)) bits/token" + memory
  }
}

/// Numbers as people read them.
enum Text {
  static func number(_ value: Double?, _ digits: Int) -> String {
    value.map { String(format: "%.\(digits)f", $0) } ?? "–"
  }

  /// Three digits.
  static func short(_ value: Double) -> String { String(format: "%.3g", value) }

  /// `45 s`, `12 min 5 s`, `3 h 20 min`
  static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e9 else { return "for ever" }
    let whole = Int(seconds.rounded())
    if seconds < 10, seconds != seconds.rounded() { return number(seconds, 1) + " s" }
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min" + (whole % 60 > 0 ? " \(whole % 60) s" : "") }
    return "\(whole / 3600) h" + (whole / 60 % 60 > 0 ? " \(whole / 60 % 60) min" : "")
  }

  /// Nats as bits.
  static func bits(_ nats: Double?) -> String { number(nats.map { $0 / log(2) }, 3) }
}
