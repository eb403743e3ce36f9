/// Seconds of training: it stands still while something else is measured, and while a pipe is waited for.
struct TrainingClock {
  private let clock: any WallClock
  private var start: Double
  private var before: Double
  private let waited: () -> Double

  /// - Parameter waited: the seconds so far that are none of training; they only become more.
  init(_ clock: any WallClock, before: Double = 0, waited: @escaping () -> Double = { 0 }) {
    self.clock = clock
    self.before = before
    self.waited = waited
    start = clock.now - waited()
  }

  var seconds: Double { before + clock.now - start - waited() }

  /// Runs `body` with the clock stopped.
  mutating func paused<T>(_ body: () throws -> T) rethrows -> T {
    before = seconds
    defer { start = clock.now - waited() }
    return try body()
  }
}
