/// What a search for a rate may cost a run that has limits.
///
/// Trials count as seconds and as nothing else. So of `--max-seconds` a search takes at most a tenth of what is left, by the pace of windows
/// that have been trained; and where updates or tokens are limited, no trial is longer than what is left of the run, which
/// would never get to where the trial is judged.
package struct SearchBudget: Equatable {
  /// Part of the seconds that are left.
  package static let share = 0.1
  /// Windows that a pace is taken from.
  package static let pacedWindows = 16

  package enum Verdict: Equatable {
    /// Windows of each trial.
    case windows(Int)
    /// Too little is known of the pace.
    case later
    /// Not even the shortest trials would fit.
    case none
  }

  /// What this session has trained, without its first window, which meets everything cold.
  package private(set) var windows = -1
  package private(set) var seconds = 0.0

  package mutating func add(seconds: Double) {
    if windows >= 0 { self.seconds += seconds }
    windows += 1
  }

  /// - Parameters:
  ///   - most: windows of a trial without limits.
  ///   - trials: how many the search makes.
  ///   - secondsLeft, windowsLeft: of the run; nil where nothing limits them.
  package func verdict(most: Int, trials: Int, secondsLeft: Double?, windowsLeft: Int?) -> Verdict {
    func fit(_ windows: Int) -> Verdict {
      windows >= SettingSearch.fewestWindows ? .windows(windows) : .none
    }
    let most = min(most, windowsLeft ?? most)
    guard let secondsLeft, fit(most) != .none else { return fit(most) }
    let allowed = Self.share * max(0, secondsLeft)
    guard windows >= Self.pacedWindows || seconds >= allowed else { return .later }
    return fit(Int(min(Double(most), allowed / Double(trials) * Double(windows) / max(seconds, 1e-9))))
  }
}
