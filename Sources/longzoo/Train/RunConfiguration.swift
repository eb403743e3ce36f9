import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooStream

/// Everything that decides what a run does, with all defaults filled in; kept in the checkpoint.
struct RunConfiguration: Codable, Equatable {
  static let defaultHiddenSize = 64
  static let defaultPairs = 256
  static let defaultWindow = 8
  static let defaultLifetime = 1
  static let defaultEpsilon = 0.2
  static let defaultHybridPairs = 64
  static let defaultHybridEpsilon = 0.05
  /// Of node where logits are moved as well: one ε for both, and logits want less than gates.
  static let defaultLogitEpsilon = 0.1
  static let defaultHybridLifetime = 4
  /// States that begin at zero must be met often enough: with a million tokens a model forgot how to start (4.6 bits held out,
  /// 2.3 in training).
  static let defaultTruncatedContext = 10_000
  static let defaultBeyondMomentum = 0.99
  static let defaultCreditDecay = 0.7
  static let defaultClipNorm = 1.0
  static let defaultTruncation = 64
  static let defaultMaxDivergence = 1.8
  static let defaultLossWindows = 50
  static let defaultContext = 1_000_000
  /// An update of pes costs a product for every window since the reset.
  static let defaultPESContext = 1024
  static let defaultHoldout = 0.1
  static let defaultEvaluatedTokens = 1_000_000
  static let defaultSchedule = ScheduleKind.constant

  // data
  var paths: [String] = []
  var dtype = TokenType.u8
  var compression = CompressionChoice.auto
  /// nil, as in checkpoints that are older than `--format`: auto.
  var format: FormatChoice?
  /// The data is a pipe that has a name; nil: standard input, or files.
  var readsNamedPipe: Bool?
  /// Tokens that each stream had given when `--new-data` began with this data; nil: none.
  var tokensBeforeData: Int?
  var vocabularySize = 256
  var targets = TargetChoice.all
  var valPath: String?
  var valFraction = 0.0
  var expectTokens: Int?
  var skipTokens = 0
  var zstdWindowLog = 27
  // model
  /// nil, as in checkpoints that are older than the choice: lstm.
  var cell: CellKind? = .lstm
  var hiddenSize = defaultHiddenSize
  var layers = 1
  var heads = 1
  var initialWeights: String?
  /// nil: 1/√D.
  var tokenScale: Double?
  /// Tokens; nil: forget biases of 1.
  var memorySpan: Int?
  // streaming
  var context = defaultContext
  var window = WindowChoice.tokens(defaultWindow)
  var streams = 1
  var reset = ResetKind.context
  // estimator
  var estimator = EstimatorKind.cdRGE
  var checkpointing = CheckpointingChoice.none
  /// Largest norm of an exact gradient; 0: any.
  var clipNorm = defaultClipNorm
  /// Bytes that binomial checkpointing may take: what the memory budget leaves.
  var checkpointingBudget: Int?
  var pairs = defaultPairs
  var epsilon = defaultEpsilon
  var perturbation = Perturbation.rank1
  /// Products in a direction, if there is more than one: nil reads checkpoints that are older than `--rank`.
  private var products: Int?
  var step = StepRule.gradient
  var lifetime = defaultLifetime
  var maxDivergence = defaultMaxDivergence
  /// β of hybrid's running mean of what lies beyond the window.
  var beyondMomentum = defaultBeyondMomentum
  /// γ of node; nil: the default.
  var creditDecay: Double?
  var readout = ReadoutKind.exact
  // optimizer
  var optimizer = OptimizerKind.adam
  var learningRate = 0.01
  /// `--lr auto`: `learningRate` is where the search begins.
  var searchesRate = false
  /// `--eps auto`: `epsilon` is where the search begins; nil: false.
  var searchesEpsilon: Bool?
  var momentum = 0.9
  var beta2 = 0.999
  var weightDecay = 0.0
  /// In parts of `learningRate`; nil, as in checkpoints that are older than `--table-rate`: 1.
  var tableRate: Double?
  var schedule = defaultSchedule
  var warmup = 0
  // run
  var maxSteps: Int?
  var maxTokens: Int?
  var maxSeconds: Double?
  /// Passes over the training tokens; nil: none are counted.
  var epochs: Double?
  /// Nats a token; 0: any. nil: a nat worse than guessing.
  var stopAbove: Double?
  /// Nats.
  var stopBelow: Double?
  /// Windows in the running mean of the loss; nil: the default.
  var lossWindows: Int?
  var seed: UInt64 = 1337
  var threads = 1
  var memoryBudget: Int?
  /// Updates between evaluations; 0: only at the end. nil: as often as costs little.
  var evalInterval: Int?
  /// Held-out tokens that an evaluation reads; 0: all. nil: the default, and at the end all if that is quick.
  var evalTokens: Int?
  /// Evaluations in a row without a better one that end the run; nil: none do.
  var patience: Int?
  var logInterval: Int?
  var saveInterval: SaveChoice?
  var regime = Regime.shared

  var replayLog = false
  /// Random: what tells the files of one run from those of another in the same folder; nil in runs of before there was one.
  var identity: String?

  var savesWeights: Bool { saveInterval != .never }
  var isPipe: Bool { paths == ["-"] || readsNamedPipe == true }
  /// A loss that stays above it ends the run; nil: none does.
  var highestLoss: Double? {
    stopAbove.map { $0 > 0 ? $0 : nil } ?? log(Double(vocabularySize)) + DivergenceWatch.rise
  }
  /// Weight of the newest window in the running mean of the loss.
  var lossSmoothing: Double { 1 / Double(lossWindows ?? Self.defaultLossWindows) }
  /// Products in a direction.
  var rank: Int {
    get { products ?? 1 }
    set { products = newValue == 1 ? nil : newValue }
  }
  var directions: DirectionKind { perturbation.directions(rank: rank) }

  /// Columns that process a token of every stream: both of every pair, or one a stream.
  var columns: Int {
    switch estimator {
    case .cdRGE, .jvp, .nres, .pes, .node: 2 * pairs
    case .fdRGE: FDRGE.columns(pairs: pairs, streams: streams)
    case .bptt, .tbptt, .hybrid: streams
    }
  }

  /// Of the shared products; a backward pass is two more of a forward's size, and what is recomputed is not counted.
  var flopsPerTokenColumn: Double { shape.flopsPerTokenColumn * (!estimator.isExact ? 1 : 3) }

  /// Tokens between resets; nil: never.
  var tokensToReset: Int? { context == 0 || reset == .never ? nil : context }

  /// When each stream's contexts begin; nil: all at once.
  var staggeredContexts: StaggeredContexts? {
    guard let context = tokensToReset, reset == .context, estimator.method?.isUnrolled != true else {
      return nil
    }
    return StaggeredContexts(context: context, window: tokensOfWindow, streams: streams)
  }

  /// Held-out tokens that an evaluation reads at most; 0: all.
  var evaluatedTokens: Int { evalTokens ?? Self.defaultEvaluatedTokens }
  /// Whether the weights that a run hands out are those that did best on held-out tokens, and not the last ones.
  var keepsBestWeights: Bool { hasHeldOut && savesWeights && evalInterval != 0 }

  var hasHeldOut: Bool { valPath != nil || valFraction > 0 }

  var shape: ModelShape {
    ModelShape(vocabularySize: vocabularySize, hiddenSize: hiddenSize, layers: layers, heads: heads)
  }

  var initialization: Initialization {
    Initialization(tokenScale: tokenScale.map(Float.init), memorySpan: memorySpan)
  }

  var tokensOfWindow: Int { window.tokens ?? context }

  /// Whether the readout's rows are kept for a chunk: node makes its gradient of them with either readout.
  private var handsOutReadout: Bool { readout == .exact || estimator == .node }

  /// Tokens of a stream that go through the kernels at a time; the same for every context.
  var chunk: Int {
    if estimator.isExact { return min(window.tokens ?? .max, 256) }
    return CDRGE.chunk(
      for: shape, pairs: pairs, exactReadout: handsOutReadout, window: window.tokens)
  }

  private var chunksPerWindow: Int {
    // Not rounded up by a sum: a window may be of any length.
    (tokensOfWindow - 1) / chunk + 1
  }

  /// What a run looks for by itself, in this order.
  var searched: [SearchedSetting] {
    (searchesRate ? [.rate] : []) + (searchesEpsilon == true ? [.epsilon] : [])
  }
  var searchedOptions: String { searched.map(\.option).joined(separator: " and ") }

  /// Windows that searched settings are tried on; nil where they are too long.
  var searchWindows: Int? {
    let (bytes, overflow) = chunksPerWindow.multipliedReportingOverflow(
      by: streams * (chunk + 1) * MemoryLayout<UInt32>.stride)
    return overflow ? nil : SettingSearch.windows(bytesPerWindow: bytes)
  }

  /// Chunks of tokens that are kept for a search.
  var keptChunks: Int { searched.isEmpty ? 0 : (searchWindows ?? 0) * chunksPerWindow }

  /// What a resume may not change, by the option's name: the states and directions in the checkpoint mean nothing otherwise.
  var fixed: [(option: String, value: String)] {
    [
      ("--estimator", estimator.rawValue), ("--dtype", dtype.rawValue), ("--vocab-size", "\(vocabularySize)"),
      ("--targets", targets.rawValue), ("--cell", (cell ?? .lstm).rawValue),
      ("--val-fraction", "\(valFraction)"),
      ("--skip-tokens", "\(skipTokens)"), ("--hidden-size", "\(hiddenSize)"), ("--layers", "\(layers)"),
      ("--heads", "\(heads)"),
      ("--window", "\(window)"), ("--streams", "\(streams)"), ("--pairs", "\(pairs)"),
      ("--perturbation", perturbation.rawValue), ("--rank", "\(rank)"), ("--lifetime", "\(lifetime)"),
      ("--readout", readout.rawValue),
      ("--optimizer", optimizer.rawValue), ("--seed", "\(seed)"), ("--regime", regime.rawValue),
      ("--init", initialWeights.map(AbsolutePath.of) ?? "none"),
      ("--token-scale", tokenScale.map { "\($0)" } ?? "none"),
      ("--memory-span", memorySpan.map { "\($0)" } ?? "none"),
    ]
  }

  /// What a replay log may not see change besides.
  var replayed: [(option: String, value: String)] {
    [
      ("--momentum", "\(momentum)"), ("--beta2", "\(beta2)"), ("--weight-decay", "\(weightDecay)"),
      ("--table-rate", "\(tableRate ?? 1)"),
    ]
  }

  /// The first of these options that another configuration has otherwise.
  func firstDifference(
    from other: RunConfiguration, of options: [(option: String, value: String)]
  ) -> String? {
    let others = Dictionary((other.fixed + other.replayed).map { ($0.option, $0.value) }) { $1 }
    return options.first { others[$0.option] != $0.value }?.option
  }
}
