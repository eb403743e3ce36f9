extension EstimatorFamily {
  /// Exact within the window, random directions beyond it, `Hybrid`: for credit beyond the window that fits
  /// memory.
  public static let hybrid = EstimatorFamily(
    "hybrid",
    "exact in the window, and what lies beyond it from pairs that carry their states for their lifetime of windows",
    settings: [
      .pairs, .epsilon, .perturbation, .rank, .lifetime, .beyondMomentum, .checkpointing, .clipNorm,
    ], credit: .lifetime,
    plan: { PlanOf(Hybrid.self, Hybrid.Configuration($0, $1, chunk: $2)) },
    adjust: {
      $0.setExact()
      // The pairs run while tokens come.
      $0.readingShare = 0.4
      $0.defaults.setTruncated()
      // Its columns only tell what crosses a window's border.
      ($0.defaults.pairs, $0.defaults.raisesPairsToStreams) = (64, true)
      ($0.defaults.lifetime, $0.defaults.epsilon) = (4, 0.05)
    })
}

extension Hybrid.Configuration {
  init(_ c: EstimatorConfiguration, _ w: EstimatorWorkload, chunk: Int) {
    self.init(
      exact: BPTT.Configuration(c, w), pairs: c.pairs, epsilon: Float(c.epsilon), kind: c.directions,
      lifetime: c.lifetime, momentum: Float(c.beyondMomentum), chunk: chunk, seed: w.seed)
  }
}
