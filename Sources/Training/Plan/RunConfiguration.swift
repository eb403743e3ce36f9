import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooStream

/// Everything that decides what a run does, with all defaults filled in; kept in the checkpoint.
package struct RunConfiguration: Codable, Equatable {
  package static let defaultHiddenSize = 64
  package static let defaultPairs = 256
  package static let defaultWindow = 8
  package static let defaultLifetime = 1
  package static let defaultEpsilon = 0.2
  package static let defaultHybridPairs = 64
  package static let defaultHybridEpsilon = 0.05
  /// Of node where logits are moved as well: one ε for both, and logits want less than gates.
  package static let defaultLogitEpsilon = 0.1
  package static let defaultHybridLifetime = 4
  /// States that begin at zero must be met often enough: with a million tokens a model forgot how to start (4.6 bits held out,
  /// 2.3 in training).
  package static let defaultTruncatedContext = 10_000
  package static let defaultBeyondMomentum = 0.99
  package static let defaultCreditDecay = 0.7
  package static let defaultClipNorm = 1.0
  package static let defaultTruncation = 64
  package static let defaultMaxDivergence = 1.8
  package static let defaultLossWindows = 50
  package static let defaultContext = 1_000_000
  /// An update of pes costs a product for every window since the reset.
  package static let defaultPESContext = 1024
  package static let defaultHoldout = 0.1
  package static let defaultEvaluatedTokens = 1_000_000
  package static let defaultSchedule = ScheduleKind.constant

  // data
  package var paths: [String] = []
  package var dtype = TokenType.u8
  package var compression = CompressionChoice.auto
  /// nil, as in checkpoints that are older than `--format`: auto.
  package var format: FormatChoice?
  /// The data is a pipe that has a name; nil: standard input, or files.
  package var readsNamedPipe: Bool?
  /// Tokens that each stream had given when `--new-data` began with this data; nil: none.
  package var tokensBeforeData: Int?
  package var vocabularySize = 256
  package var targets = TargetChoice.all
  package var valPath: String?
  package var valFraction = 0.0
  package var expectTokens: Int?
  package var skipTokens = 0
  package var zstdWindowLog = 27
  // model
  /// nil, as in checkpoints that are older than the choice: lstm.
  package var cell: CellKind? = .lstm
  package var hiddenSize = defaultHiddenSize
  package var layers = 1
  package var heads = 1
  package var initialWeights: String?
  /// nil: 1/√D.
  package var tokenScale: Double?
  /// Tokens; nil: forget biases of 1.
  package var memorySpan: Int?
  // streaming
  package var context = defaultContext
  package var window = WindowChoice.tokens(defaultWindow)
  package var streams = 1
  package var reset = ResetKind.context
  // estimator
  package var estimator = EstimatorKind.cdRGE
  package var checkpointing = CheckpointingChoice.none
  /// Largest norm of an exact gradient; 0: any.
  package var clipNorm = defaultClipNorm
  /// Bytes that binomial checkpointing may take: what the memory budget leaves.
  package var checkpointingBudget: Int?
  package var pairs = defaultPairs
  package var epsilon = defaultEpsilon
  package var perturbation = Perturbation.rank1
  /// Products in a direction, if there is more than one: nil reads checkpoints that are older than `--rank`.
  private var products: Int?
  package var step = StepRule.gradient
  package var lifetime = defaultLifetime
  package var maxDivergence = defaultMaxDivergence
  /// β of hybrid's running mean of what lies beyond the window.
  package var beyondMomentum = defaultBeyondMomentum
  /// γ of node; nil: the default.
  package var creditDecay: Double?
  package var readout = ReadoutKind.exact
  // optimizer
  package var optimizer = OptimizerKind.adam
  package var learningRate = 0.01
  /// `--lr auto`: `learningRate` is where the search begins.
  package var searchesRate = false
  /// `--eps auto`: `epsilon` is where the search begins; nil: false.
  package var searchesEpsilon: Bool?
  package var momentum = 0.9
  package var beta2 = 0.999
  package var weightDecay = 0.0
  /// In parts of `learningRate`; nil, as in checkpoints that are older than `--table-rate`: 1.
  package var tableRate: Double?
  package var schedule = defaultSchedule
  package var warmup = 0
  // run
  package var maxSteps: Int?
  package var maxTokens: Int?
  package var maxSeconds: Double?
  /// Passes over the training tokens; nil: none are counted.
  package var epochs: Double?
  /// Nats a token; 0: any. nil: a nat worse than guessing.
  package var stopAbove: Double?
  /// Nats.
  package var stopBelow: Double?
  /// Windows in the running mean of the loss; nil: the default.
  package var lossWindows: Int?
  package var seed: UInt64 = 1337
  package var threads = 1
  package var memoryBudget: Int?
  /// Updates between evaluations; 0: only at the end. nil: as often as costs little.
  package var evalInterval: Int?
  /// Held-out tokens that an evaluation reads; 0: all. nil: the default, and at the end all if that is quick.
  package var evalTokens: Int?
  /// Evaluations in a row without a better one that end the run; nil: none do.
  package var patience: Int?
  package var logInterval: Int?
  package var saveInterval: SaveChoice?
  package var regime = Regime.shared

  package var replayLog = false
  /// Random: what tells the files of one run from those of another in the same folder; nil in runs of before there was one.
  package var identity: String?

  package init() {}

  package var savesWeights: Bool { saveInterval != .never }
  package var isPipe: Bool { paths == ["-"] || readsNamedPipe == true }
  /// A loss that stays above it ends the run; nil: none does.
  package var highestLoss: Double? {
    stopAbove.map { $0 > 0 ? $0 : nil } ?? log(Double(vocabularySize)) + DivergenceWatch.rise
  }
  /// Weight of the newest window in the running mean of the loss.
  package var lossSmoothing: Double { 1 / Double(lossWindows ?? Self.defaultLossWindows) }
  /// Products in a direction.
  package var rank: Int {
    get { products ?? 1 }
    set { products = newValue == 1 ? nil : newValue }
  }
  package var directions: DirectionKind { perturbation.directions(rank: rank) }

  /// Columns that process a token of every stream: both of every pair, or one a stream.
  package var columns: Int {
    switch estimator {
    case .cdRGE, .jvp, .nres, .pes, .node: 2 * pairs
    case .fdRGE: FDRGE.columns(pairs: pairs, streams: streams)
    case .bptt, .tbptt, .hybrid: streams
    }
  }

  /// Of the shared products; a backward pass is two more of a forward's size, and what is recomputed is not counted.
  package var flopsPerTokenColumn: Double { shape.flopsPerTokenColumn * (!estimator.isExact ? 1 : 3) }

  /// Tokens between resets; nil: never.
  package var tokensToReset: Int? { context == 0 || reset == .never ? nil : context }

  /// When each stream's contexts begin; nil: all at once.
  package var staggeredContexts: StaggeredContexts? {
    guard let context = tokensToReset, reset == .context, estimator.method?.isUnrolled != true else {
      return nil
    }
    return StaggeredContexts(context: context, window: tokensOfWindow, streams: streams)
  }

  /// Held-out tokens that an evaluation reads at most; 0: all.
  package var evaluatedTokens: Int { evalTokens ?? Self.defaultEvaluatedTokens }
  /// Whether the weights that a run hands out are those that did best on held-out tokens, and not the last ones.
  package var keepsBestWeights: Bool { hasHeldOut && savesWeights && evalInterval != 0 }

  package var hasHeldOut: Bool { valPath != nil || valFraction > 0 }

  package var shape: ModelShape {
    ModelShape(vocabularySize: vocabularySize, hiddenSize: hiddenSize, layers: layers, heads: heads)
  }

  package var initialization: Initialization {
    Initialization(tokenScale: tokenScale.map(Float.init), memorySpan: memorySpan)
  }

  package var tokensOfWindow: Int { window.tokens ?? context }

  /// Whether the readout's rows are kept for a chunk: node makes its gradient of them with either readout.
  private var handsOutReadout: Bool { readout == .exact || estimator == .node }

  /// Tokens of a stream that go through the kernels at a time; the same for every context.
  package var chunk: Int {
    if estimator.isExact { return min(window.tokens ?? .max, 256) }
    return CDRGE.chunk(
      for: shape, pairs: pairs, exactReadout: handsOutReadout, window: window.tokens)
  }

  private var chunksPerWindow: Int {
    // Not rounded up by a sum: a window may be of any length.
    (tokensOfWindow - 1) / chunk + 1
  }

  /// What a run looks for by itself, in this order.
  package var searched: [SearchedSetting] {
    (searchesRate ? [.rate] : []) + (searchesEpsilon == true ? [.epsilon] : [])
  }
  package var searchedSettings: Wording {
    let all = searched.map(\.wording)
    return all.dropFirst().reduce(all.first ?? "") { "\($0) and \($1)" }
  }

  /// Windows that searched settings are tried on; nil where they are too long.
  package var searchWindows: Int? {
    let (bytes, overflow) = chunksPerWindow.multipliedReportingOverflow(
      by: streams * (chunk + 1) * MemoryLayout<UInt32>.stride)
    return overflow ? nil : SettingSearch.windows(bytesPerWindow: bytes)
  }

  /// Chunks of tokens that are kept for a search.
  package var keptChunks: Int { searched.isEmpty ? 0 : (searchWindows ?? 0) * chunksPerWindow }

  /// What a resume may not change: the states and directions in the checkpoint mean nothing otherwise.
  package var fixed: [(setting: Setting, value: String)] {
    [
      (.estimator, estimator.rawValue), (.tokenType, dtype.rawValue), (.vocabularySize, "\(vocabularySize)"),
      (.targets, targets.rawValue), (.cell, (cell ?? .lstm).rawValue),
      (.holdoutFraction, "\(valFraction)"),
      (.skipTokens, "\(skipTokens)"), (.hiddenSize, "\(hiddenSize)"), (.layers, "\(layers)"),
      (.heads, "\(heads)"),
      (.window, "\(window)"), (.streams, "\(streams)"), (.pairs, "\(pairs)"),
      (.perturbation, perturbation.rawValue), (.rank, "\(rank)"), (.lifetime, "\(lifetime)"),
      (.readout, readout.rawValue),
      (.optimizer, optimizer.rawValue), (.seed, "\(seed)"), (.regime, regime.rawValue),
      (.initialWeights, initialWeights.map(AbsolutePath.of) ?? "none"),
      (.tokenScale, tokenScale.map { "\($0)" } ?? "none"),
      (.memorySpan, memorySpan.map { "\($0)" } ?? "none"),
    ]
  }

  /// What a replay log may not see change besides.
  package var replayed: [(setting: Setting, value: String)] {
    [
      (.momentum, "\(momentum)"), (.beta2, "\(beta2)"), (.weightDecay, "\(weightDecay)"),
      (.tableRate, "\(tableRate ?? 1)"),
    ]
  }

  /// The first of these settings that another configuration has otherwise.
  package func firstDifference(
    from other: RunConfiguration, of settings: [(setting: Setting, value: String)]
  ) -> Setting? {
    let others = Dictionary((other.fixed + other.replayed).map { ($0.setting, $0.value) }) { $1 }
    return settings.first { others[$0.setting] != $0.value }?.setting
  }
}
