import LongzooMemory

/// `--lr auto` and `--eps auto`: the training loop tries values on a block of windows, and goes back to where that began.
extension Trainer {
  /// Windows of each trial of a search that is due and fits into what is left of the run; nil where none is to begin now.
  package func searchWindowsNow() -> Int? {
    guard !plan.searched.isEmpty, !isSearchOver, !supply.isWithinBlock,
      progress.ratePlan.isDue(step: progress.step), let most = plan.searchWindows
    else { return nil }
    let left = limits.left(progress, tokens: tokens)
    let isFirst = progress.ratePlan.searches == 0
    switch searchBudget.verdict(
      most: most, trials: SettingSearch.trials(plan.searched, isFirst: isFirst),
      secondsLeft: left.seconds,
      windowsLeft: left.windows)
    {
    case .windows(let windows): return windows
    case .later: return nil
    case .none:
      giveUpSearching()
      return nil
    }
  }

  /// What is left of a run only becomes less.
  private func giveUpSearching() {
    isSearchOver = true
    guard progress.ratePlan.searches == 0 else { return }
    tell(.cannotSearch(currentValues))
  }

  /// At the end of a run that was over before anything was known of its pace.
  package func tellIfNeverSearched() {
    let isOpen = !plan.searched.isEmpty && progress.ratePlan.searches == 0 && !isSearchOver
    if isOpen, plan.limits.maxSeconds != nil, host.stop() == nil { giveUpSearching() }
  }

  private var currentValues: TrialValues { TrialValues(rate: baseRate, epsilon: epsilon) }

  /// Finds a learning rate, an ε or one after the other for what follows, with trials of so many windows.
  /// - Returns: false if it was given up, for a signal or for want of time: the next search will be the same one.
  package func search(windows: Int) throws -> Bool {
    guard let snapshot else { return true }
    let start = progress
    var (chosen, trials) = (currentValues, [SettingSearch.Trial]())
    snapshot.take(model)
    supply.beginBlock()
    var isGivenUp = false
    for setting in plan.searched where !isGivenUp {
      let found = try SettingSearch.search(
        setting, around: chosen[setting], windows: windows, isFirst: start.ratePlan.searches == 0
      ) { value in
        goBack(to: start, snapshot)
        var values = chosen
        values[setting] = value
        return try trial(setting, values, windows: windows)
      }
      guard let found else {
        isGivenUp = true
        continue
      }
      chosen[setting] = found.value
      trials += found.trials
    }
    goBack(to: start, snapshot)
    supply.endBlock()
    isWithinWindow = false
    progress.trainSeconds = clock.seconds
    guard !isGivenUp else { return false }
    progress.ratePlan.take(chosen, step: progress.step)
    tell(.searched(trials, chosen: chosen))
    try metrics?.search(trials, chosen: chosen, progress)
    return true
  }

  private func goBack(to start: RunProgress, _ snapshot: StateSnapshot) {
    supply.rewind()
    snapshot.restore(model, step: start.step)
    progress = start
  }

  /// Trains with some values, and without learning behind that where the setting is judged so.
  /// - Returns: the loss of the first window, and the mean loss of the second half of the windows that it is judged by, in nats; infinite where an
  ///   update was refused or the data ended before there was one; nil if it was given up. The end of the data ends it early.
  private func trial(_ setting: SearchedSetting, _ values: TrialValues, windows: Int) throws -> (
    start: Double, loss: Double
  )? {
    trialValues = values
    defer { trialValues = nil }
    let still = setting.stillWindows(of: windows)
    let learning = windows - still
    var losses: [Double] = []
    for window in 0..<windows {
      if window == learning, still > 0 {
        trialValues = TrialValues(rate: 0, epsilon: values.epsilon * SearchedSetting.stillEpsilon)
      }
      progress.trainSeconds = clock.seconds
      if let reason = stopReason(), reason == .signal || reason == .maxSeconds { return nil }
      guard try step() else {
        if isWithinWindow { return nil }
        break
      }
      guard let loss = lastLoss, loss.isFinite else { return (losses.first ?? 0, .infinity) }
      losses.append(loss)
    }
    let last = still > 0 ? losses.dropFirst(learning) : losses[...]
    let judged = last.suffix((last.count + 1) / 2)
    guard let start = losses.first, !judged.isEmpty else { return (losses.first ?? 0, .infinity) }
    return (start, judged.reduce(0, +) / Double(judged.count))
  }
}
