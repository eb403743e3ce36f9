/// One estimator under two names, which differ in their defaults.
extension EstimatorFamily {
  /// Back-propagation through the whole context, `BPTT` with a window for each. Not for contexts without end:
  /// memory grows with them.
  public static let bptt = EstimatorFamily("bptt", "over the whole context") {
    $0.window = .context
    $0.pipeContext = $0.context
  }

  /// Truncated back-propagation, `BPTT` with short windows: nothing is credited across a window's border.
  public static let tbptt = EstimatorFamily("tbptt", "truncated to windows of \(truncation)") {
    $0.setTruncated()
  }

  /// Tokens of a truncated window, and the most streams, where nobody says.
  public static let truncation = 64

  private init(_ name: String, _ help: String, defaults: (inout EstimatorDefaults) -> Void) {
    self.init(
      name, help, settings: [.checkpointing, .clipNorm], credit: .window,
      plan: { c, w, _ in PlanOf(BPTT.self, BPTT.Configuration(c, w)) },
      adjust: {
        $0.setExact()
        defaults(&$0.defaults)
      })
  }
}

extension EstimatorDefaults {
  mutating func setTruncated() {
    window = .tokens(EstimatorFamily.truncation)
    mostStreams = EstimatorFamily.truncation
    // States that begin at zero must be met often enough: with a million tokens a model forgot how to start (4.6 bits held out, 2.3 in
    // training).
    (context, pipeContext) = (10_000, 10_000)
    // A few such contexts are no training.
    tokensOfRun = 1_000_000
  }
}

extension BPTT.Configuration {
  init(_ c: EstimatorConfiguration, _ w: EstimatorWorkload) {
    let schedule: Checkpointing =
      switch c.checkpointing {
      case .none: .none
      case .sqrt: .sqrt
      case .every(let tokens): .every(tokens)
      case .binomial: .within(bytes: w.checkpointingBytes ?? .max)
      }
    self.init(
      streams: w.streams, window: w.window, checkpointing: schedule,
      clip: c.clipNorm > 0 ? Float(c.clipNorm) : nil)
  }
}
