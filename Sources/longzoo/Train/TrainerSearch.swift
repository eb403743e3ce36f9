/// `--lr auto`: the training loop tries rates on a block of windows, and goes back to where that began.
extension Trainer {
  var isSearchDue: Bool {
    configuration.searchesRate && !supply.isWithinBlock && progress.ratePlan.isDue(step: progress.step)
  }

  /// Finds a learning rate for what follows.
  /// - Returns: false if it was given up, for a signal or for want of time: the next search will be the same one.
  func searchRate() throws -> Bool {
    guard let snapshot, let windows = configuration.searchWindows else { return true }
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
