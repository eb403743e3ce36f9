import Foundation

/// Seconds of training: it stands still while something else is measured.
struct TrainingClock {
  private var start: Double
  private var before: Double

  init(before: Double = 0) {
    self.before = before
    start = Self.now()
  }

  var seconds: Double { before + Self.now() - start }

  /// Runs `body` with the clock stopped.
  mutating func paused<T>(_ body: () throws -> T) rethrows -> T {
    before = seconds
    defer { start = Self.now() }
    return try body()
  }

  static func now() -> Double { ProgressLine.monotonicSeconds() }
}
