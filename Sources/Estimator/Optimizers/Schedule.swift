import Glibc

/// How the learning rate runs over a run.
public enum ScheduleKind: String, CaseIterable, Codable, Sendable {
  /// The base rate throughout.
  case constant
  /// It falls to 0 along a straight line.
  case linear
  /// It falls to 0 along half a cosine.
  case cosine
}

/// The learning rate over a run.
public enum Schedule {
  /// The learning rate of an update.
  /// - Parameters:
  ///   - progress: the part of the run that is done, 0 … 1, by the limit that is nearest.
  ///   - step: updates done; over the first `warmup` the rate rises linearly.
  public static func rate(
    _ kind: ScheduleKind, base: Double, progress: Double, step: Int, warmup: Int
  ) -> Double {
    let rest = 1 - min(max(progress, 0), 1)
    let rise = step < warmup ? Double(step + 1) / Double(warmup) : 1
    switch kind {
    case .constant: return base * rise
    case .linear: return base * rise * rest
    case .cosine: return base * rise * 0.5 * (1 - cos(.pi * rest))
    }
  }
}
