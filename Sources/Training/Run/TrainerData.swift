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
    if reason == .endOfData, progress.step == 0 { throw plan.noTokens }
    guard reason != .signal, progress.step > 0, progress.targets == 0, progress.refusedUpdates == 0 else {
      return
    }
    throw .badData(
      "\(plan.dataName): all of the \(tokens) tokens that were read are marked, and a run that predicts none learns nothing; check \(.targets) and \(.tokenType)"
    )
  }

  /// Why there was no update; nil where there was one.
  var nothingLearned: NothingLearned? {
    guard progress.step == 0 else { return nil }
    if watch.isGivenUp { return .givenUp(seconds: watch.seconds) }
    let streams = plan.streaming.streams
    return watch.tokensRead > 0
      ? .tokensMissing(watch.tokensRead * streams, of: RunLimits.product(watch.tokens, streams)) : .notBegun
  }

}

extension RunPlan {
  /// The refusal of data that has nothing to predict.
  var noTokens: RunFailure {
    .badData("\(dataName): fewer than two tokens, and nothing to learn from; is the producer alive?")
  }

  fileprivate var dataName: String { data.paths[0] == "-" ? "standard input" : data.paths[0] }
}
