/// When states go back to zero.
public enum ResetKind: String, CaseIterable, Codable, Sendable {
  /// Every stream after a context of its own.
  case context
  /// All streams at the same time.
  case together
  case never
}

/// How a run's weights are kept.
public enum Regime: String, Codable, Sendable {
  /// Parameters, their packed copy, a gradient, an optimizer, an average.
  case shared
  /// The packed weights only.
  case inPlace = "inplace"
}

/// When checkpoints are written.
public enum SaveChoice: Codable, Equatable, Sendable {
  /// After so many updates; 0: at the end only.
  case updates(Int)
  /// No file of weights at all.
  case never
}
