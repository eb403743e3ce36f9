import LongzooMemory

extension EstimatorFamily {
  /// Forward differences, `FDRGE`: half the columns of central ones where there is one stream, and a bias of
  /// order ε.
  public static let fdRGE = EstimatorFamily(
    "fd-rge",
    "differences from the unperturbed model: one stream shares it, and a direction costs one column and not two; "
      + "with more streams each has its own, at the price of cd-rge",
    settings: [.pairs, .epsilon, .perturbation, .rank, .step, .lifetime, .readout], credit: .lifetime,
    plan: { PlanOf(FDRGE.self, CDRGE.Configuration($0, $1, chunk: $2)) },
    adjust: {
      $0.reasons = [.maxDivergence: ", which has no state under both signs; leave it out"]
      $0.perturbations.remove(.gaussian)
      $0.columnCount = { c, w in FDRGE.columns(pairs: c.pairs, streams: w.streams) }
      $0.obstacle = { c, _ in
        c.perturbation == .gaussian
          ? "\(.estimator) fd-rge runs two tiles of directions side by side, which \(.perturbation) gaussian has no room for; "
            + "take rank1, rademacher or another estimator"
          : nil
      }
    })
}
