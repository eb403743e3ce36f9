import Foundation
import LongzooTraining

/// How far a run is, on standard error, with tqdm's habits: `n/total [elapsed<left, rate] loss …`.
///
/// On a terminal one line is rewritten at most ten times a second and cut at the width; elsewhere whole lines
/// come at a slower pace. There are no colors, so NO_COLOR has nothing to turn off. A standard error that is
/// closed, full or stopped loses lines and never holds up the run.
final class ProgressLine {
  /// Where the lines go and how: what tests replace.
  struct Output {
    var descriptor: Int32 = 2
    var isTerminal: Bool
    /// Seconds on a clock that only goes forward.
    var now: () -> Double

    static func standardError() -> Output {
      let plain = ProcessInfo.processInfo.environment["TERM"] == "dumb"
      return Output(isTerminal: isatty(2) == 1 && !plain, now: { MonotonicClock().now })
    }
  }

  private let total: Int?
  private let unit: String
  private let initial: Int
  private let quiet: Bool
  private let output: Output
  private let start: Double
  private var last = -Double.infinity
  private var isShown = false
  /// What the last line was for, if it was for a count.
  private var lastCount: Int?
  /// What was shown last.
  private var count: Int
  /// Seconds spent waiting, which count neither as elapsed nor for the rate.
  var waited = 0.0

  /// - Parameter total: nil for a pipe, whose end nobody knows.
  /// - Parameter initial: what a resumed run had done before; it does not count for the rate.
  init(
    total: Int?, unit: String = "tok", initial: Int = 0, quiet: Bool = false,
    output: Output = .standardError()
  ) {
    self.total = total
    self.unit = unit
    self.initial = initial
    self.quiet = quiet
    self.output = output
    self.start = output.now()
    count = initial
  }

  /// Shows `count` if it is time to; `note` (such as `loss 2.31`) is made only then.
  /// - Parameters:
  ///   - part: of the run that is done, 0 … 1; nil: what `count` is of the total.
  ///   - secondsLeft: of a run that a clock ends.
  func update(
    _ count: Int, part: Double? = nil, secondsLeft: Double? = nil, note: @autoclosure () -> String = ""
  ) {
    self.count = count
    guard !quiet, let now = dueTime else { return }
    show(line(count, part: part, secondsLeft: secondsLeft, note: note(), elapsed: elapsed(at: now)), now)
    lastCount = count
  }

  /// Shows a text of another kind, if it is time to.
  func updateText(isDue: Bool = false, _ text: () -> String) {
    guard !quiet, let now = isDue ? output.now() : dueTime else { return }
    show(text(), now)
    lastCount = nil
  }

  /// Now, if it is time to show something.
  private var dueTime: Double? {
    let now = output.now()
    return now - last >= interval(at: now) ? now : nil
  }

  /// Says why nothing goes on, if it is time to.
  func wait(for reason: String) {
    guard !quiet, let now = dueTime else { return }
    show(line(count, note: "waiting for \(reason)", elapsed: elapsed(at: now)), now)
    lastCount = nil
  }

  private func elapsed(at now: Double) -> Double { now - start - waited }

  /// Shows `count`, if the last line was not for it already, and ends the line.
  func finish(_ count: Int, part: Double? = nil, secondsLeft: Double? = nil, note: String = "") {
    guard !quiet else { return }
    let now = output.now()
    if output.isTerminal || lastCount != count {
      show(line(count, part: part, secondsLeft: secondsLeft, note: note, elapsed: elapsed(at: now)), now)
    }
    lastCount = count
    if output.isTerminal { emit("\n") }
    isShown = false
  }

  /// A line of its own above the progress: an evaluation, a saved checkpoint, a warning. `--quiet` hides it.
  func message(_ text: String) {
    guard !quiet else { return }
    emit((isShown ? "\r\u{1B}[K" : "") + TerminalText.line(text) + "\n")
    isShown = false
    if output.isTerminal { last = -.infinity }
  }

  /// Takes the line away: a result follows.
  func clear() {
    if isShown { emit("\r\u{1B}[K") }
    isShown = false
  }

  /// Text for `count` at `now`; open to tests.
  func line(
    _ count: Int, part: Double? = nil, secondsLeft: Double? = nil, note: String, elapsed: Double
  ) -> String {
    let rate = elapsed > 0 ? Double(count - initial) / elapsed : 0
    let ofTotal = total.map { $0 > 0 ? Double(count) / Double($0) : 1 }
    let percent = (part ?? ofTotal).map { "\(max(0, min(100, Int($0 * 100))))% " } ?? ""
    let text = percent + Self.scaled(Double(count)) + (total.map { "/" + Self.scaled(Double($0)) } ?? "")
    let tokensLeft = total.map { rate > 0 ? Double(max($0 - count, 0)) / rate : .infinity }
    let left = [tokensLeft, secondsLeft].compactMap { $0 }.min().map { "<" + Self.clock($0) } ?? ""
    return tail(text, left, rate, note, elapsed)
  }

  private func tail(_ head: String, _ left: String, _ rate: Double, _ note: String, _ elapsed: Double)
    -> String
  {
    var text = head
    let speed = rate > 0 ? Self.scaled(rate) : "?"
    text += " [\(Self.clock(elapsed))\(left), \(speed) \(unit)/s]"
    return note.isEmpty ? text : text + " " + note
  }

  /// Ten times a second on a terminal. In a log every 5 s at first, then ever less often, at least once a minute.
  private func interval(at now: Double) -> Double {
    output.isTerminal ? 0.1 : max(5, min(60, (now - start) / 10))
  }

  private func show(_ text: String, _ now: Double) {
    last = now
    if output.isTerminal {
      emit("\r" + text.prefix(max(width() - 1, 20)) + "\u{1B}[K")
      isShown = true
    } else {
      emit(text + "\n")
    }
  }

  private func width() -> Int {
    var size = winsize()
    guard ioctl(output.descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  /// One write, and only where it does not block: a pipe that nobody reads must not stop the training.
  private func emit(_ text: String) {
    var poller = pollfd(fd: output.descriptor, events: Int16(POLLOUT), revents: 0)
    guard poll(&poller, 1, 0) == 1, poller.revents & Int16(POLLOUT) != 0 else { return }
    let bytes = Array(text.utf8.prefix(4096))
    _ = write(output.descriptor, bytes, bytes.count)
  }
}

extension ProgressLine {
  /// `1234567` → `1.23M`
  static func scaled(_ value: Double) -> String {
    for (suffix, unit) in [("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)] where value >= unit * 0.9995 {
      let scaled = value / unit
      let digits = scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0
      return String(format: "%.\(digits)f", scaled) + suffix
    }
    return String(format: value == value.rounded() ? "%.0f" : "%.1f", value)
  }

  /// Seconds as `mm:ss`, or `h:mm:ss` from an hour on.
  static func clock(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e9 else { return "?" }
    let whole = Int(max(seconds, 0))
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
    return hours > 0
      ? String(format: "%d:%02d:%02d", hours, minutes, rest) : String(format: "%02d:%02d", minutes, rest)
  }

}
