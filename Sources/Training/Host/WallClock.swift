import Glibc

/// Seconds on a clock that only goes forward. A test brings its own, and does not have to wait.
public protocol WallClock: Sendable {
  var now: Double { get }
}

/// The system's clock, which no change of the date touches.
public struct MonotonicClock: WallClock {
  public init() {}

  public var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
