import LongzooMemory
import LongzooStream
import LongzooTraining

extension TrainCommand {
  /// Sets what is read: the data that was given, or that of the run that is resumed.
  func setData(_ c: inout RunPlan, over base: RunPlan?) throws(RunFailure) {
    if newData { try setNewData(&c, over: base) }
    guard !paths.isEmpty else { return try requireStoredPipe(c) }
    c.data.paths = paths.map { AbsolutePath.of(DataPath.normalized($0)) }
    c.data.readsNamedPipe =
      c.data.paths.count == 1 && c.data.paths != ["-"] && DataPath.isPipe(c.data.paths[0])
  }

  /// What was said of the old data is not said of the new one.
  private func setNewData(_ c: inout RunPlan, over base: RunPlan?) throws(RunFailure) {
    guard base != nil else {
      throw .usage("--new-data goes on with a run on other data: give --resume and the run too")
    }
    guard !paths.isEmpty else {
      throw .usage("--new-data needs the other data: name files, or - for standard input")
    }
    if data.skipTokens == nil { c.data.skipTokens = 0 }
    if data.expectTokens == nil { c.data.expectTokens = nil }
    let isPipe = paths.count == 1 && DataPath.isPipe(paths[0])
    if heldOut.valFraction == nil, isPipe || heldOut.val != nil { c.data.holdoutFraction = 0 }
    if isPipe, c.streaming.streams > 1 {
      throw .usage(
        "the run reads \(c.streaming.streams) streams, and a pipe is only one: give files, or begin a run with --streams 1"
      )
    }
  }

  /// Counts what was read before as read, and refuses a run whose limits leave nothing of the new data.
  func beginData(_ c: inout RunPlan, after progress: RunProgress) throws(RunFailure) {
    c.data.tokensBefore = progress.tokensPerStream
    let (tokens, overflow) = progress.tokensPerStream.multipliedReportingOverflow(by: c.streaming.streams)
    if let reason = RunLimits(c, trainingTokens: nil).reached(progress, tokens: overflow ? .max : tokens) {
      throw .usage(
        "the run is at its end already (\(reason.rawValue)), and nothing of the new data would be read; give a higher --\(reason.rawValue)"
      )
    }
  }

  /// A pipe that had a name, such as that of a process substitution, is gone.
  private func requireStoredPipe(_ c: RunPlan) throws(RunFailure) {
    guard c.data.readsNamedPipe, !DataPath.isPipe(c.data.paths[0]) else { return }
    throw .usage(
      "the run read the pipe \(c.data.paths[0]), which is gone: give its data again from the start (- or <(…)), or other data with --new-data"
    )
  }
}
