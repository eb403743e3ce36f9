import LongzooMemory

extension CDRGE {
  /// What a window of the population says.
  public struct WindowResult: GradientResult {
    /// Mean loss of a target over all columns, in nats.
    public var loss: Double
    public var targets: Int
    /// Pairs whose loss was infinite or NaN. If there are any, there is no gradient, and their states start from zero.
    public var brokenPairs: Int
    public var meters = WindowMeters()
    public var refusal: Wording? {
      brokenPairs == 0
        ? nil
        : "\(brokenPairs) pairs had an infinite or NaN loss; their states start again from zero "
          + "(a smaller \(.learningRate) helps if this goes on)"
    }
  }
}
