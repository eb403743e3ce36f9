import Stream

extension RunConfiguration {
  /// A pipe is one stream, and a hundred columns for each of its tokens are slow: 400 tokens a second on two cores with
  /// 256 pairs, ten thousand with 16, at nearly the loss (Benchmarks/notes/pipe-defaults.md).
  static let defaultPipePairs = 16

  /// Defaults for one stream of tokens that come at their own pace.
  mutating func setPipeDefaults(arePairsGiven: Bool) {
    if !arePairsGiven, estimator.hasPairs { pairs = Self.defaultPipePairs }
  }
}
