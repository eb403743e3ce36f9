import LongzooMemory
import LongzooStream
import LongzooTraining

extension TrainCommand {
  /// Sets what is read: the data that was given, or that of the run that is resumed.
  func setData(_ c: inout RunConfiguration, over base: RunConfiguration?) throws(RunFailure) {
    if newData { try setNewData(&c, over: base) }
    guard !paths.isEmpty else { return try requireStoredPipe(c) }
    c.paths = paths.map { AbsolutePath.of(DataPath.normalized($0)) }
    c.readsNamedPipe = c.paths.count == 1 && c.paths != ["-"] && DataPath.isPipe(c.paths[0]) ? true : nil
  }

  /// What was said of the old data is not said of the new one.
  private func setNewData(_ c: inout RunConfiguration, over base: RunConfiguration?) throws(RunFailure) {
    guard base != nil else {
      throw .usage("--new-data goes on with a run on other data: give --resume and the run too")
    }
    guard !paths.isEmpty else {
      throw .usage("--new-data needs the other data: name files, or - for standard input")
    }
    if data.skipTokens == nil { c.skipTokens = 0 }
    if data.expectTokens == nil { c.expectTokens = nil }
    let isPipe = paths.count == 1 && DataPath.isPipe(paths[0])
    if heldOut.valFraction == nil, isPipe || heldOut.val != nil { c.valFraction = 0 }
    if isPipe, c.streams > 1 {
      throw .usage(
        "the run reads \(c.streams) streams, and a pipe is only one: give files, or begin a run with --streams 1"
      )
    }
  }

  /// Counts what was read before as read, and refuses a run whose limits leave nothing of the new data.
  func beginData(_ c: inout RunConfiguration, after progress: RunProgress) throws(RunFailure) {
    c.tokensBeforeData = progress.tokensPerStream
    let (tokens, overflow) = progress.tokensPerStream.multipliedReportingOverflow(by: c.streams)
    if let reason = RunLimits(c, trainingTokens: nil).reached(progress, tokens: overflow ? .max : tokens) {
      throw .usage(
        "the run is at its end already (\(reason.rawValue)), and nothing of the new data would be read; give a higher --\(reason.rawValue)"
      )
    }
  }

  /// A pipe that had a name, such as that of a process substitution, is gone.
  private func requireStoredPipe(_ c: RunConfiguration) throws(RunFailure) {
    guard c.readsNamedPipe == true, !DataPath.isPipe(c.paths[0]) else { return }
    throw .usage(
      "the run read the pipe \(c.paths[0]), which is gone: give its data again from the start (- or <(…)), or other data with --new-data"
    )
  }
}
