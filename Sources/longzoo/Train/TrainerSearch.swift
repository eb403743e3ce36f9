/// `--lr auto`: the training loop tries rates on a block of windows, and goes back to where that began.
extension Trainer {
  /// Windows of each trial of a search that is due and fits into what is left of the run; nil where none is to begin now.
  func searchWindowsNow() -> Int? {
    guard configuration.searchesRate, !isSearchOver, !supply.isWithinBlock,
      progress.ratePlan.isDue(step: progress.step), let most = configuration.searchWindows
    else { return nil }
    let left = RunLimits(configuration).left(progress, tokens: tokens)
    let isFirst = progress.ratePlan.searches == 0
    switch searchBudget.verdict(
      most: most, trials: RateSearch.trials(isFirst: isFirst), secondsLeft: left.seconds,
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
    log.message(
      "--lr auto: the run is too short for a search, which takes \(RateSearch.fewestWindows) windows a trial and at most a tenth of "
        + "the seconds that are left; the default rate stays, \(Text.short(baseRate))")
  }

  /// At the end of a run that was over before anything was known of its pace.
  func tellIfNeverSearched() {
    let isOpen = configuration.searchesRate && progress.ratePlan.searches == 0 && !isSearchOver
    if isOpen, configuration.maxSeconds != nil, Signals.received == nil { giveUpSearching() }
  }

  /// Finds a learning rate for what follows, with trials of so many windows.
  /// - Returns: false if it was given up, for a signal or for want of time: the next search will be the same one.
  func searchRate(windows: Int) throws -> Bool {
    guard let snapshot else { return true }
    let (start, rate) = (progress, baseRate)
    snapshot.take(model)
    supply.beginBlock()
    let found = try RateSearch.search(
      around: rate, windows: windows, isFirst: progress.ratePlan.searches == 0
    ) { rate, windows in
      goBack(to: start, snapshot)
      return try trial(rate, windows: windows)
    }
    goBack(to: start, snapshot)
    supply.endBlock()
    isWithinWindow = false
    progress.trainSeconds = clock.seconds
    guard let found else { return false }
    progress.ratePlan.take(found.rate, step: progress.step)
    try log.search(found.trials, chosen: found.rate, progress)
    return true
  }

  private func goBack(to start: RunProgress, _ snapshot: StateSnapshot) {
    supply.rewind()
    snapshot.restore(model, step: start.step)
    progress = start
  }

  /// Trains with a rate.
  /// - Returns: the loss of the first window, and the mean loss of the second half of the windows, in nats; infinite where an update was refused; nil if it was
  ///   given up. The end of the data ends it early.
  private func trial(_ rate: Double, windows: Int) throws -> (start: Double, loss: Double)? {
    trialRate = rate
    defer { trialRate = nil }
    var losses: [Double] = []
    for _ in 0..<windows {
      progress.trainSeconds = clock.seconds
      if let reason = stopReason(), reason == .signal || reason == .maxSeconds { return nil }
      guard try step() else {
        if isWithinWindow { return nil }
        break
      }
      guard let loss = lastLoss, loss.isFinite else { return (losses.first ?? 0, .infinity) }
      losses.append(loss)
    }
    let judged = losses.suffix((losses.count + 1) / 2)
    guard let start = losses.first else { return (0, .infinity) }
    return (start, judged.reduce(0, +) / Double(judged.count))
  }
}
