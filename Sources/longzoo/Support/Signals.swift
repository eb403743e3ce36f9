import Foundation
import Synchronization

/// SIGINT and SIGTERM as a flag that the training loop looks at between steps.
///
/// The first signal asks for an orderly end: finish the step, save, say how to resume. The second ends the process
/// at once with 128 + n. `timeout` and terminals deliver one and the same request to a process and to its
/// group, so a repetition within a quarter of a second counts as the first.
enum Signals {
  private static let first = Atomic<Int32>(0)
  /// When it came; 0 before. Whoever sets it is the first: a repetition on another thread must find it set.
  private static let firstNanoseconds = Atomic<Int64>(0)
  static let debounceNanoseconds: Int64 = 250_000_000

  /// The first signal that came, or nil. Costs one relaxed load.
  static var received: Int32? {
    let number = first.load(ordering: .relaxed)
    return number == 0 ? nil : number
  }

  /// Installs the handlers and ignores SIGPIPE and SIGXFSZ, so that a closed pipe and a file too large are errors
  /// of `write` and no sudden deaths. System calls that were under way go on.
  static func install() {
    // Touched here, so that the handler finds the globals initialized.
    forget()
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
    let now = Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    if isSecond(number, at: now) { _exit(ExitStatus.signal(number)) }
  }

  /// Takes a signal. Of two that come together either may have looked at the clock before the other.
  /// - Parameter now: nanoseconds, more than 0.
  /// - Returns: whether it is another request than the first.
  static func isSecond(_ number: Int32, at now: Int64) -> Bool {
    let (isFirst, earlier) = firstNanoseconds.compareExchange(
      expected: 0, desired: now, ordering: .relaxed)
    if isFirst { first.store(number, ordering: .relaxed) }
    return !isFirst && now &- earlier > debounceNanoseconds
  }

  /// No signal has come.
  static func forget() {
    first.store(0, ordering: .relaxed)
    firstNanoseconds.store(0, ordering: .relaxed)
  }
}
