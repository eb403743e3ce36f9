import Foundation

/// Seconds of training: it stands still while something else is measured, and while a pipe is waited for.
struct TrainingClock {
  private var start: Double
  private var before: Double
  private let waited: () -> Double

  /// - Parameter waited: the seconds so far that are none of training; they only become more.
  init(before: Double = 0, waited: @escaping () -> Double = { 0 }) {
    self.before = before
    self.waited = waited
    start = Self.now() - waited()
  }

  var seconds: Double { before + Self.now() - start - waited() }

  /// Runs `body` with the clock stopped.
  mutating func paused<T>(_ body: () throws -> T) rethrows -> T {
    before = seconds
    defer { start = Self.now() - waited() }
    return try body()
  }

  static func now() -> Double { ProgressLine.monotonicSeconds() }
}
