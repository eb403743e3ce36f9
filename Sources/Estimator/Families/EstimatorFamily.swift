import LongzooMemory
import LongzooModel

/// A way to estimate gradients, as a value: what a run must know of it before there is an estimator, and how one is made.
///
/// A family is a folder with its estimator and a static property, and a line in `all`. Nothing above this module names one but to
/// say what was measured with it. Families are equal if their names are, and are coded as those.
///
///     let estimator = try EstimatorFamily.tbptt.make(configuration, workload, pool: pool, ledger: ledger)
public struct EstimatorFamily: Sendable {
  /// How far back a window's losses are credited.
  public enum Credit: Sendable {
    /// To the window's start.
    case window
    /// Over the `lifetime` of a direction, in windows.
    case lifetime
    /// To the last reset: all pairs begin together, with a context.
    case context
  }

  /// What it is called and coded as; no two of `all` share one.
  public let name: String
  /// What it does, in a line that follows its name.
  public let help: String
  /// The settings of an `EstimatorConfiguration` that mean something to it.
  public let settings: Set<Setting>
  /// How far back it credits a loss; `creditReach` has it in tokens.
  public let credit: Credit

  // MARK: Traits

  /// Whether windows are propagated back through.
  public internal(set) var isExact = false
  /// The random directions that it takes, if it moves weights.
  public internal(set) var perturbations = Set(Perturbation.allCases)
  /// Whether it can apply its estimate to the only copy of the weights: then `make` gives an `InPlaceEstimator`.
  public internal(set) var worksInPlace = false
  /// Whether an estimate is the sum of its pairs' directions times one coefficient each: then `make` gives a `CDRGE`.
  public internal(set) var hasCoefficients = false
  /// Whether states of every token of a window are held until it ends.
  public internal(set) var holdsWindow = false
  /// Whether numbers for every token of a window and every id are held, too.
  public internal(set) var holdsLogits = false
  /// The part of a window's work that is done while its tokens come, 0 … 1; the rest is done when it ends.
  public internal(set) var readingShare = 1.0
  /// What it is told where nobody says.
  public internal(set) var defaults = EstimatorDefaults()

  /// Whether pairs of perturbed models run.
  public var hasPairs: Bool { settings.contains(.pairs) }
  /// Whether pairs move along directions of the weights.
  public var movesWeights: Bool { settings.contains(.perturbation) }
  /// Whether states or losses are compared under +ε and −ε, or under +ε and none.
  public var takesDifferences: Bool { settings.contains(.epsilon) }
  /// Whether credit runs from reset to reset: contexts begin for all pairs together, and must end.
  public var isUnrolled: Bool { credit == .context }

  // MARK: How it is done

  typealias Numbers = @Sendable (EstimatorConfiguration, EstimatorWorkload) -> Int

  /// What follows "means nothing to NAME".
  var reasons: [Setting: Wording] = [:]
  var obstacle: @Sendable (EstimatorConfiguration, EstimatorWorkload) -> Wording? = { _, _ in nil }
  var columnCount: Numbers
  var chunkTokens: Numbers
  private let plan: @Sendable (EstimatorConfiguration, EstimatorWorkload, _ chunk: Int) -> any EstimatorPlan

  /// - Parameters:
  ///   - plan: an estimator of this family, for chunks of so many tokens.
  ///   - adjust: sets what is not as most families have it.
  init(
    _ name: String, _ help: String, settings: Set<Setting>, credit: Credit,
    plan: @escaping @Sendable (EstimatorConfiguration, EstimatorWorkload, _ chunk: Int) -> any EstimatorPlan,
    adjust: (inout EstimatorFamily) -> Void = { _ in }
  ) {
    self.name = name
    self.help = help
    self.settings = settings
    self.credit = credit
    self.plan = plan
    columnCount = { c, _ in 2 * c.pairs }
    chunkTokens = { c, w in Self.chunkOfPairs(c, w, keepsReadoutRows: c.readout == .exact) }
    adjust(&self)
  }

  private func plan(_ c: EstimatorConfiguration, _ w: EstimatorWorkload) -> any EstimatorPlan {
    plan(c, w, chunk(c, w))
  }
}

extension EstimatorFamily {
  /// An estimator of this family.
  /// - Parameter pool: of `workload.threads` threads.
  /// - Throws: `MemoryError.overBudget`, before memory is touched.
  /// - Precondition: `refusal(of:_:)` has none for these.
  public func make(
    _ configuration: EstimatorConfiguration, _ workload: EstimatorWorkload, pool: ThreadPool,
    instructions: Instructions = .best, ledger: MemoryLedger
  ) throws(MemoryError) -> any GradientEstimator {
    try plan(configuration, workload).make(workload.shape, pool, instructions, ledger)
  }

  /// The bytes that `make` reserves.
  public func byteCount(_ configuration: EstimatorConfiguration, _ workload: EstimatorWorkload) -> MemoryTable
  {
    plan(configuration, workload).byteCount(workload.shape, threads: workload.threads)
  }

  /// The bytes of what goes on from window to window (`WindowEstimator.carried`).
  public func carriedBytes(_ configuration: EstimatorConfiguration, _ workload: EstimatorWorkload) -> Int {
    plan(configuration, workload).carriedBytes(workload.shape)
  }

  /// Columns that process a token of every stream: both of every pair, or one a stream.
  public func columns(_ configuration: EstimatorConfiguration, _ workload: EstimatorWorkload) -> Int {
    columnCount(configuration, workload)
  }

  /// Tokens of a stream that go through the kernels at a time: the most that `consume` may be given. The same for every context.
  public func chunk(_ configuration: EstimatorConfiguration, _ workload: EstimatorWorkload) -> Int {
    chunkTokens(configuration, workload)
  }

  /// Tokens over which a loss is credited to what came before it.
  public func creditReach(_ configuration: EstimatorConfiguration, _ workload: EstimatorWorkload) -> Int {
    let reach: Int
    switch credit {
    case .window: reach = workload.window
    case .context: reach = .max
    case .lifetime:
      let (tokens, overflow) = workload.window.multipliedReportingOverflow(by: configuration.lifetime)
      reach = overflow ? .max : tokens
    }
    return min(reach, workload.context ?? .max)
  }

  /// Streams where nobody says: many positions make a minute's learning, but exact gradients of whole contexts hold each of them in
  /// full.
  public func defaultStreams(pairs: Int) -> Int {
    hasPairs ? min(defaults.mostStreams ?? pairs, pairs) : defaults.mostStreams ?? 1
  }
}

/// Refusals, in sentences that name settings.
extension EstimatorFamily {
  /// Why a setting should be left out; nil if it means something.
  public func refusal(of setting: Setting) -> Wording? {
    guard !settings.contains(setting) else { return nil }
    return "\(setting) means nothing to \(.estimator) \(name)\(reasons[setting] ?? "; leave it out")"
  }

  /// What this family cannot do of all that others can; nil: nothing stands against it.
  public func refusal(of configuration: EstimatorConfiguration, _ workload: EstimatorWorkload) -> Wording? {
    if isUnrolled, workload.context == nil {
      return
        "\(.estimator) \(name) keeps its pairs from reset to reset: it needs a \(.context) that ends, and \(.reset) context"
    }
    return obstacle(configuration, workload)
  }
}

extension EstimatorFamily {
  /// The chunk that keeps what the readout leaves of each pair small.
  static func chunkOfPairs(
    _ c: EstimatorConfiguration, _ w: EstimatorWorkload, keepsReadoutRows: Bool, isApart: Bool = false
  ) -> Int {
    CDRGE.chunk(
      for: w.shape, pairs: c.pairs, exactReadout: keepsReadoutRows, window: w.fixedWindow, isApart: isApart)
  }

  /// What families with exact gradients have in common.
  mutating func setExact() {
    isExact = true
    holdsWindow = true
    readingShare = 0
    columnCount = { _, w in w.streams }
    chunkTokens = { _, w in min(w.fixedWindow ?? .max, 256) }
  }
}
