import LongzooMemory

/// What a run has to say of its data.
extension Trainer {
  /// The seconds that training has waited for a pipe, whose pace is not its own.
  package var waitedForPipe: () -> Double {
    plan.data.isPipe ? { [feed] in feed.waitSeconds } : { 0 }
  }

  /// Refuses to call a run successful that had nothing to predict.
  /// - Throws: exit code 65.
  package func requireTargets(_ reason: StopReason?) throws(RunFailure) {
    let path = plan.data.paths[0]
    let name = path == "-" ? "standard input" : path
    if reason == .endOfData, progress.step == 0 {
      throw .badData("\(name): fewer than two tokens, and nothing to learn from; is the producer alive?")
    }
    guard reason != .signal, progress.step > 0, progress.targets == 0, progress.refusedUpdates == 0 else {
      return
    }
    throw .badData(
      "\(name): all of the \(tokens) tokens that were read are marked, and a run that predicts none learns nothing; check \(.targets) and \(.tokenType)"
    )
  }
}
