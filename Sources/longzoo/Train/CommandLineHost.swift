import Foundation
import LongzooStream
import LongzooTraining

extension RunHost {
  /// Signals end the run, a progress line shows it, and warnings go to standard error.
  static func commandLine(quiet: Bool) -> RunHost {
    var reporter: ProgressReporter?
    return RunHost(
      stop: { Signals.request },
      warn: { StandardStreams.tell("longzoo: warning: \($0.commandText)\n") },
      observe: { event, run in
        if reporter == nil {
          reporter = ProgressReporter(
            total: run.limits.totalTokens, initial: run.tokens, quiet: quiet)
        }
        reporter!.observe(event, run)
      })
  }
}

extension Signals {
  /// A scheduler's patience is short; a person's, who has just pressed Ctrl-C, is a little longer.
  static var request: StopRequest? { received.map { $0 == SIGINT ? .soon : .now } }
}

extension StreamConfiguration {
  /// With its warnings on standard error.
  func warning() -> StreamConfiguration {
    var data = self
    data.notify = { StandardStreams.tell("longzoo: warning: \($0.commandText)\n") }
    return data
  }
}
