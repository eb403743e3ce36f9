import Foundation
import LongzooTraining
import Synchronization

/// SIGINT, SIGTERM and SIGHUP as a flag that the training loop looks at between steps.
///
/// The first signal asks for an orderly end: finish the step if that is quick, save, say how to resume; the handler itself says so at
/// once, whatever the program is busy with. The second ends the process at once with 128 + n. `timeout` and terminals deliver one and the same request to a process and to its
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

  /// What the program is doing when a signal comes, and what is said to it.
  enum Phase: Int {
    /// Nothing is said: the end is near.
    case brief
    case opening, training, evaluating

    fileprivate var answer: StaticString {
      switch self {
      case .brief: ""
      case .opening: "longzoo: stopping (once more: at once)\n"
      case .training: "longzoo: finishing this update if it is quick, then saving (once more: at once)\n"
      case .evaluating: "longzoo: giving up the evaluation; the weights are safe (once more: at once)\n"
      }
    }
  }

  private static let phaseNumber = Atomic<Int>(Phase.brief.rawValue)
  private static let isAnswered = Atomic<Bool>(true)
  /// When the update that is under way will end, in nanoseconds; 0: nobody knows, or it is quick.
  private static let updateEnd = Atomic<Int64>(0)

  /// How long the update that is under way will take from now on, as far as that is known.
  static func expectUpdate(seconds: Double?) {
    let end = seconds.flatMap { Int64(exactly: ((MonotonicClock().now + $0) * 1e9).rounded()) }
    updateEnd.store(end ?? 0, ordering: .relaxed)
  }

  /// What follows, until the next call.
  static func enter(_ phase: Phase) { phaseNumber.store(phase.rawValue, ordering: .relaxed) }

  /// Whether a signal is answered on standard error: not where nobody wants to hear anything.
  static func answer(_ wanted: Bool) { isAnswered.store(wanted, ordering: .relaxed) }

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
    // A terminal that is gone is somebody who has left: but not for a program that was told to outlive it, as by nohup.
    var earlier = sigaction()
    sigaction(SIGHUP, nil, &earlier)
    if unsafeBitCast(earlier.__sigaction_handler.sa_handler, to: Int.self) != 1 {
      sigaction(SIGHUP, &action, nil)
    }
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
  }

  /// Runs inside of the handler: atomics, clock_gettime, write and _exit only.
  private static func handle(_ number: Int32) {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    let now = Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    if isSecond(number, at: now) { _exit(ExitStatus.signal(number)) }
    if firstNanoseconds.load(ordering: .relaxed) == now { answer(at: now) }
  }

  /// A standard error that nobody reads must not hold up the handler.
  private static func answer(at now: Int64) {
    guard isAnswered.load(ordering: .relaxed),
      let phase = Phase(rawValue: phaseNumber.load(ordering: .relaxed))
    else { return }
    let number = errno
    var poller = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
    if poll(&poller, 1, 0) == 1, poller.revents & Int16(POLLOUT) != 0 {
      // A progress line may stand on the terminal's last line.
      if isatty(STDERR_FILENO) == 1 { _ = write(STDERR_FILENO, "\n", 1) }
      let left = (updateEnd.load(ordering: .relaxed) &- now) / 1_000_000_000
      if phase == .training, left >= Int64(WindowWatch.grace) {
        say("longzoo: giving up this update, which would take about ")
        say(left)
        say(" s more, and keeping what was saved before it (once more: at once)\n")
      } else {
        say(phase.answer)
      }
    }
    errno = number
  }

  private static func say(_ text: StaticString) {
    _ = write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
  }

  /// Of at most eight digits: a string would ask for memory, which a handler must not.
  private static func say(_ number: Int64) {
    var (digits, count, rest) = (UInt64(0), 0, min(number, 99_999_999))
    repeat {
      digits = digits << 8 | UInt64(0x30 + rest % 10)
      (rest, count) = (rest / 10, count + 1)
    } while rest > 0
    var bytes = digits.littleEndian
    _ = write(STDERR_FILENO, &bytes, count)
  }

  /// Seconds since the first signal came; nil before.
  static var secondsSince: Double? {
    let first = firstNanoseconds.load(ordering: .relaxed)
    guard first > 0 else { return nil }
    return MonotonicClock().now - Double(first) * 1e-9
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
    _ = phaseNumber.load(ordering: .relaxed)
    _ = isAnswered.load(ordering: .relaxed)
    _ = updateEnd.load(ordering: .relaxed)
  }
}
