/// Looks at a window that is under way: how long it has been, and whether it is to be given up.
struct WindowWatch {
  /// Seconds after a signal for which a window may go on.
  static let grace = 1.0
  /// The part of a time limit by which a window may exceed it.
  private static let overtime = 0.1

  private(set) var isGivenUp = false
  /// Tokens of a stream that the window will read.
  private(set) var tokens = 0
  private var begin = 0.0
  /// Seconds that the window has taken so far.
  private(set) var seconds = 0.0
  /// Whether it was said how long a window takes.
  private var isTold = false

  /// - Parameter trained: seconds of training so far, in which waiting for a pipe is none.
  mutating func begin(tokens: Int, trained: Double = 0) {
    (self.tokens, isGivenUp, seconds, begin) = (tokens, false, 0, trained)
  }

  /// - Parameters:
  ///   - signalAge: seconds since a signal has asked for the end; nil: none has.
  ///   - trained: seconds of training in all.
  ///   - limit: of those; nil: there is none.
  mutating func look(signalAge: Double?, seconds trained: Double, limit: Double?) {
    seconds = trained - begin
    if let signalAge, signalAge > Self.grace { isGivenUp = true }
    if let limit, trained > limit + max(Self.grace, Self.overtime * limit) { isGivenUp = true }
  }

  /// Seconds that the window will take, once, for a window that is long and has shown its pace.
  mutating func expectedSeconds(part: Double) -> Double? {
    guard !isTold, part > 0, seconds > 1 else { return nil }
    isTold = true
    let expected = seconds / part
    return expected > 5 ? expected : nil
  }
}
