/// Looks at a window that is under way: how long it has been, and whether it is to be given up.
package struct WindowWatch {
  /// Seconds after the end was asked for, for which a window may go on.
  package static let grace = 1.0
  /// The part of a time limit by which a window may exceed it.
  private static let overtime = 0.1

  package private(set) var isGivenUp = false
  /// Tokens of a stream that the window will read.
  package private(set) var tokens = 0
  /// Those that it has read, once it has ended without an update.
  package var tokensRead = 0
  private var begin = 0.0
  /// Seconds that the window has taken so far.
  package private(set) var seconds = 0.0
  /// Seconds of training when the end was asked for.
  private var stopSeconds: Double?

  /// - Parameter trained: seconds of training so far, in which waiting for a pipe is none.
  package mutating func begin(tokens: Int, trained: Double = 0) {
    (self.tokens, isGivenUp, seconds, begin) = (tokens, false, 0, trained)
  }

  /// - Parameters:
  ///   - isStopped: whether somebody has asked for the end.
  ///   - trained: seconds of training in all.
  ///   - limit: of those; nil: there is none.
  package mutating func look(isStopped: Bool, seconds trained: Double, limit: Double?) {
    seconds = trained - begin
    stopSeconds = isStopped ? stopSeconds ?? trained : nil
    if let stopSeconds, trained - stopSeconds > Self.grace { isGivenUp = true }
    if let limit, trained > limit + max(Self.grace, Self.overtime * limit) { isGivenUp = true }
  }
}
