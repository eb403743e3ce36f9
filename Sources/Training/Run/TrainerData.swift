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
    if reason == .endOfData, progress.step == 0 { throw noTokens }
    guard reason != .signal, progress.step > 0, progress.targets == 0, progress.refusedUpdates == 0 else {
      return
    }
    throw .badData(
      "\(dataName): all of the \(tokens) tokens that were read are marked, and a run that predicts none learns nothing; check \(.targets) and \(.tokenType)"
    )
  }

  /// The refusal of data that has nothing to predict.
  var noTokens: RunFailure {
    .badData("\(dataName): fewer than two tokens, and nothing to learn from; is the producer alive?")
  }

  private var dataName: String { plan.data.paths[0] == "-" ? "standard input" : plan.data.paths[0] }
}
