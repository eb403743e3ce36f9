import Foundation
import Synchronization

/// SIGINT and SIGTERM as a flag that the training loop looks at between steps.
///
/// The first signal asks for an orderly end: finish the step, save, say how to resume. The second ends the process
/// at once with 128 + n. `timeout` and terminals deliver one and the same request to a process and to its
/// group, so a repetition within a quarter of a second counts as the first.
enum Signals {
  private static let first = Atomic<Int32>(0)
  private static let firstNanoseconds = Atomic<UInt64>(0)
  private static let debounceNanoseconds: UInt64 = 250_000_000

  /// The first signal that came, or nil. Costs one relaxed load.
  static var received: Int32? {
    let number = first.load(ordering: .relaxed)
    return number == 0 ? nil : number
  }

  /// Installs the handlers and ignores SIGPIPE and SIGXFSZ, so that a closed pipe and a file too large are errors
  /// of `write` and no sudden deaths. System calls that were under way go on.
  static func install() {
    // Touched here, so that the handler finds the globals initialized.
    first.store(0, ordering: .relaxed)
    firstNanoseconds.store(0, ordering: .relaxed)
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { number in Signals.handle(number) }
    action.sa_flags = SA_RESTART
    sigemptyset(&action.sa_mask)
    sigaction(SIGINT, &action, nil)
    sigaction(SIGTERM, &action, nil)
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
  }

  /// Runs inside of the handler: atomics, clock_gettime and _exit only.
  private static func handle(_ number: Int32) {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    let now = UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    if first.compareExchange(expected: 0, desired: number, ordering: .relaxed).exchanged {
      firstNanoseconds.store(now, ordering: .relaxed)
    } else if now &- firstNanoseconds.load(ordering: .relaxed) > debounceNanoseconds {
      _exit(ExitStatus.signal(number))
    }
  }
}
