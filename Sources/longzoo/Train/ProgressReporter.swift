import LongzooMemory
import LongzooTraining

/// Tells a terminal, or a log, what a run does.
final class ProgressReporter {
  /// Seconds of an update before its progress is shown, and before it is said how long it takes.
  private static let (longUpdate, paced) = (0.3, 1.0)

  private let line: ProgressLine
  private var hasToldPace = false
  /// When the evaluation that is under way has begun; nil once it has shown how far it is.
  private var evaluationStart: Double?

  /// - Parameters:
  ///   - total: stream tokens of the run, where they are known.
  ///   - initial: those that were read before this session.
  init(total: Int?, initial: Int, quiet: Bool) {
    line = ProgressLine(total: total, initial: initial, quiet: quiet)
  }

  func observe(_ event: RunEvent, _ run: Trainer) {
    switch event {
    case .begins:
      for text in Announcement(run).lines { line.message(text) }
    case .hasNothingLeft(let reason): line.message(Announcement.nothingLeft(reason, run.progress))
    case .waits(let seconds, let before): wait(seconds: seconds, before: before)
    case .updated: update(run)
    case .isWithinUpdate(let part, let tokens, let seconds):
      within(run, part: part, tokens: tokens * run.plan.streaming.streams, seconds: seconds)
    case .refused(let update, let reason):
      line.message("update \(update) refused: \(reason.commandText)")
    case .beginsEvaluation:
      Signals.enter(.evaluating)
      evaluationStart = run.host.clock.now
    case .evaluates(let tokens, let total):
      // In a log, too, nobody is left to wonder for longer than a second.
      let isDue = evaluationStart.map { run.host.clock.now - $0 > 1 } ?? false
      if isDue { evaluationStart = nil }
      evaluating(tokens, of: total, isDue: isDue)
    case .endsEvaluation: Signals.enter(.training)
    case .evaluated(let evaluation): line.message(text(evaluation, run))
    case .searched(let trials, let chosen): tell(trials, chosen, run)
    case .cannotSearch(let values): line.message(tooShort(values, run.plan))
    case .endsTraining:
      line.finish(run.tokens, part: run.part, secondsLeft: secondsLeft(run), note: note(run))
    case .ends: line.clear()
    }
  }

  /// While a pipe is quiet: nothing for the first second, which a busy one may take as well.
  private func wait(seconds: Double, before: Double) {
    line.waited = before + seconds
    if seconds >= 1 { line.wait(for: "data") }
  }

  private func update(_ run: Trainer) {
    Signals.enter(.training)
    Signals.expectUpdate(seconds: nil)
    line.update(run.tokens, part: run.part, secondsLeft: secondsLeft(run), note: note(run))
  }

  private func within(_ run: Trainer, part: Double, tokens: Int, seconds: Double) {
    Signals.enter(.training)
    guard seconds > Self.longUpdate else { return }
    Signals.expectUpdate(seconds: part > 0 ? seconds / part - seconds : nil)
    if !hasToldPace, part > 0, seconds > Self.paced {
      hasToldPace = true
      let expected = seconds / part
      if expected > 5 { line.message(Announcement.longUpdate(tokens: tokens, seconds: expected)) }
    }
    let read = run.tokens + Int(part * Double(tokens))
    let left = secondsLeft(run).map { max(0, $0 - seconds) }
    line.update(read, part: run.limits.part(run.progress, tokens: read), secondsLeft: left, note: note(run))
  }

  /// Training seconds that a time limit leaves.
  private func secondsLeft(_ run: Trainer) -> Double? {
    run.plan.limits.maxSeconds.map { max(0, $0 - run.progress.trainSeconds) }
  }

  private func evaluating(_ tokens: Int, of total: Int?, isDue: Bool) {
    line.updateText(isDue: isDue) {
      "evaluating: "
        + (total.map { "\(100 * tokens / max(1, $0)) % of \(ProgressLine.scaled(Double($0)))" }
          ?? ProgressLine.scaled(Double(tokens))) + " held-out tokens"
    }
  }

  private func text(_ e: Evaluation, _ run: Trainer) -> String {
    let p = run.progress
    var text = "update \(p.step): held out \(Text.number(e.bitsPerToken, 3)) bits/token"
    if let best = p.heldOut?.best {
      text +=
        best.step == p.step
        ? " (the best so far)" : " (best: \(Text.bits(best.lossNats)) at update \(best.step))"
    }
    let windows = run.plan.run.lossWindows
    return text + ", training \(Text.bits(p.smoothedLoss)) (mean of about \(windows) windows)"
  }

  private func tell(_ trials: [SettingSearch.Trial], _ chosen: TrialValues, _ run: Trainer) {
    for setting in run.plan.searched {
      let tried = trials.filter { $0.setting == setting }
        .map { "\(Text.short($0.value)): \(Text.bits($0.loss))" }.joined(separator: ", ")
      let name = setting == .rate ? "learning rate" : "ε"
      line.message(
        "step \(run.progress.step): \(name) \(Text.short(chosen[setting])) (bits of each tried: \(tried))")
    }
  }

  private func tooShort(_ values: TrialValues, _ c: RunPlan) -> String {
    let kept = c.searched.map { $0 == .rate ? "rate" : "ε" }.joined(separator: " and ")
    let numbers = c.searched.map { Text.short(values[$0]) }.joined(separator: " and ")
    return
      "\(c.searchedSettings.commandText): the run is too short for a search, which takes \(SettingSearch.fewestWindows) windows a trial and at most a tenth of "
      + "the seconds that are left; the default \(kept) stays, \(numbers)"
  }

  private func note(_ run: Trainer) -> String {
    let memory = ResidentSet.read().map { ", memory " + ByteSize.formatted($0.current) } ?? ""
    return "update \(run.progress.step), loss \(Text.bits(run.progress.smoothedLoss)) bits/token" + memory
  }
}
