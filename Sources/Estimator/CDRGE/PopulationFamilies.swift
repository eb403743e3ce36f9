import LongzooMemory

/// The families that one population serves, each by a `PopulationMethod`.
extension EstimatorFamily {
  /// Central differences along random directions, `CDRGE` (arXiv 2505.17852).
  public static let cdRGE = EstimatorFamily(
    "cd-rge", "central differences; a direction lives for its lifetime of windows", method: .central,
    settings: [.epsilon, .lifetime, .maxDivergence]
  ) {
    $0.worksInPlace = true
  }

  /// Forward mode: derivatives along random directions, without ε and without the bias of differences
  /// (`PopulationMethod.tangent`).
  public static let jvp = EstimatorFamily(
    "jvp", "forward mode: the exact derivative along each direction, without ε", method: .tangent,
    settings: [.lifetime]
  ) {
    $0.reasons = [
      .epsilon: ", which takes derivatives and no differences; leave it out",
      .maxDivergence: ", which has no state under both signs; leave it out",
    ]
    $0.obstacle = { _, w in
      w.shape.cell.isWholeModel
        ? "\(.estimator) jvp does not know \(.cell) \(w.shape.cell.name), whose memory has no forward mode; take cd-rge"
        : nil
    }
  }

  /// Central differences with a direction for each context: credit over all of it, and of its class the least
  /// variance (Li et al., 2023, arXiv 2304.12180).
  public static let nres = EstimatorFamily(
    "nres", "central differences, a direction for each context", method: .unroll,
    settings: [.epsilon, .maxDivergence]
  ) {
    $0.setUnrolled()
  }

  /// Central differences with a direction for each window, and credit back to the context's start (Vicol et
  /// al., 2021, arXiv 2112.13835). Not for contexts of many windows: cost and variance of an update grow with
  /// those since the reset.
  public static let pes = EstimatorFamily(
    "pes",
    "central differences, a direction for each window, credit back to the context's start; "
      + "the cost of an update grows with the windows since then",
    method: .persistent, settings: [.epsilon, .maxDivergence]
  ) {
    $0.setUnrolled()
    // An update costs a product for every window since the reset.
    ($0.defaults.context, $0.defaults.pipeContext) = (1024, 1024)
    $0.obstacle = { c, _ in
      c.step == .polyak
        ? "\(.step) polyak takes slopes along single directions, and pes has sums of them; take \(.step) gradient"
        : nil
    }
  }

  /// - Parameter settings: besides those that all have.
  private init(
    _ name: String, _ help: String, method: PopulationMethod, settings: Set<Setting>,
    adjust: (inout EstimatorFamily) -> Void
  ) {
    self.init(
      name, help, settings: settings.union([.pairs, .perturbation, .rank, .step, .readout]),
      credit: method.isUnrolled ? .context : .lifetime,
      plan: { PlanOf(CDRGE.self, CDRGE.Configuration($0, $1, chunk: $2, method: method)) },
      adjust: {
        $0.hasCoefficients = true
        $0.chunkTokens = {
          EstimatorFamily.chunkOfPairs(
            $0, $1, keepsReadoutRows: $0.readout == .exact, isApart: method != .tangent)
        }
        adjust(&$0)
      })
  }

  private mutating func setUnrolled() {
    reasons = [
      .lifetime:
        ", whose pairs all begin anew with every context; leave it out, or take cd-rge"
    ]
    // Credit reaches back to the context's start, and would end where a pair is sent back.
    defaults.maxDivergence = 0
  }
}

extension CDRGE.Configuration {
  init(_ c: EstimatorConfiguration, _ w: EstimatorWorkload, chunk: Int, method: PopulationMethod = .central) {
    self.init(
      pairs: c.pairs, epsilon: Float(c.epsilon), kind: c.directions, exactReadout: c.readout == .exact,
      lifetime: c.lifetime, streams: w.streams, chunk: chunk, seed: w.seed)
    inPlace = w.inPlace
    step = c.step
    self.method = method
    maxDivergence = Float(c.maxDivergence)
    measuredEvery = w.measuredEvery
    isWindowWhole = w.window <= chunk
    givesParts = w.takesParts
    // Windows that are whole contexts begin with zero states: nothing goes from one to the next, nor between tiles.
    carriesStates = !(inPlace && w.isWholeContext && w.context != nil && w.window <= chunk)
    // Such a window is one chunk, and nothing longer ever comes.
    if !carriesStates { self.chunk = w.window }
  }
}
