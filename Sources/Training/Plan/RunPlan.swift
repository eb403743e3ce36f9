import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooStream

/// All that decides what a run does. A checkpoint holds it.
///
/// Set what matters, then `settle()`: what nobody has set takes the default that goes with the rest.
public struct RunPlan: Equatable, Sendable {
  public var data = DataPlan()
  public var model = ModelPlan()
  public var streaming = StreamingPlan()
  public var estimator = EstimatorPlan()
  public var optimizer = OptimizerPlan()
  public var limits = LimitPlan()
  public var run = ExecutionPlan()

  public init() {}
}

/// Which tokens are read, and how they are stored.
public struct DataPlan: Equatable, Sendable {
  public static let defaultHoldout = 0.1

  /// Files that are one stream, in this order; or one pipe, of which "-" is standard input.
  @Choice public var paths: [String] = []
  @Choice public var tokenType = TokenType.u8
  @Choice public var compression = CompressionChoice.auto
  @Choice public var format = FormatChoice.auto
  /// Ids from here on are an error.
  @Choice public var vocabularySize = 256
  @Choice public var targets = TargetChoice.all
  /// Held-out tokens in a file of their own.
  @Choice public var heldOutPath: String?
  /// The last part of the tokens, which is held out of training; 0: none.
  @Choice public var holdoutFraction = 0.0
  /// The number of tokens that the data must have; nil: any.
  @Choice public var expectTokens: Int?
  /// Tokens that are left out at the beginning.
  @Choice public var skipTokens = 0
  @Choice public var zstdWindowLog = 27
  /// The data is a pipe that has a name.
  @Choice package var readsNamedPipe = false
  /// Tokens that each stream had given when the run went on with this data; nil: it began with it.
  @Choice package var tokensBefore: Int?

  public init() {}

  package var isPipe: Bool { paths == ["-"] || readsNamedPipe }
  package var hasHeldOut: Bool { heldOutPath != nil || holdoutFraction > 0 }
}

/// What is trained, and what it starts from.
public struct ModelPlan: Equatable, Sendable {
  public static let defaultHiddenSize = 64

  @Choice public var cell = CellKind.lstm
  /// Units of a layer.
  @Choice public var hiddenSize = defaultHiddenSize
  @Choice public var layers = 1
  /// A unit sees the recurrent state of its own head only.
  @Choice public var heads = 1
  /// A safetensors file, or the folder of a run; nil: random weights.
  @Choice public var initialWeights: String?
  /// The token table starts uniform in ± this; nil: 1/√ of the units of a head.
  @Choice public var tokenScale: Double?
  /// Units start by remembering for 1 to so many tokens; nil: forget biases of 1.
  @Choice public var memorySpan: Int?

  public init() {}
}

/// How the tokens come to the model.
public struct StreamingPlan: Equatable, Sendable {
  public static let (defaultContext, defaultWindow) = (1_000_000, 8)
  /// Of estimators that go back through short windows. States that begin at zero must be met often enough: with a million
  /// tokens a model forgot how to start (4.6 bits held out, 2.3 in training).
  public static let defaultTruncatedContext = 10_000
  /// An update of pes costs a product for every window since the reset.
  public static let defaultPESContext = 1024
  /// A single stream meets the zero state only where it is reset, and never otherwise: then a model that had read 200,000
  /// tokens could not begin anew, with 50 bits a token held out where it had 3.3 in training.
  public static let defaultPipeContext = 1000

  /// Tokens between resets; 0: never.
  @Choice public var context = defaultContext
  /// Tokens of each stream between updates.
  @Choice public var window = WindowChoice.tokens(defaultWindow)
  /// Positions in the data that are read in parallel.
  @Choice public var streams = 1
  @Choice public var reset = ResetKind.context

  public init() {}
}

/// How gradients are estimated.
public struct EstimatorPlan: Equatable, Sendable {
  public static let (defaultPairs, defaultEpsilon, defaultLifetime) = (256, 0.2, 1)
  public static let (defaultClipNorm, defaultMaxDivergence) = (1.0, 1.8)
  public static let (defaultBeyondMomentum, defaultCreditDecay) = (0.99, 0.7)
  /// A pipe is one stream, and a hundred columns for each of its tokens are slow: 400 tokens a second on two cores with
  /// 256 pairs, ten thousand with 16, at nearly the loss (Benchmarks/notes/pipe-defaults.md).
  public static let defaultPipePairs = 16
  public static let (defaultHybridPairs, defaultHybridEpsilon, defaultHybridLifetime) = (64, 0.05, 4)
  /// Of node where logits are moved as well: one ε for both, and logits want less than gates.
  public static let defaultLogitEpsilon = 0.1
  /// Tokens of a window of truncated back-propagation.
  public static let defaultTruncation = 64

  @Choice public var family = EstimatorKind.cdRGE
  @Choice public var pairs = defaultPairs
  @Choice public var epsilon = defaultEpsilon
  /// Several ε are tried, around `epsilon`.
  @Choice public var searchesEpsilon = false
  @Choice public var perturbation = Perturbation.rank1
  /// Products in a direction.
  @Choice public var rank = 1
  @Choice public var step = StepRule.gradient
  /// Windows for which a pair keeps its direction.
  @Choice public var lifetime = defaultLifetime
  @Choice public var maxDivergence = defaultMaxDivergence
  /// β of hybrid's running mean of what lies beyond the window.
  @Choice public var beyondMomentum = defaultBeyondMomentum
  /// γ of node.
  @Choice public var creditDecay = defaultCreditDecay
  @Choice public var readout = ReadoutKind.exact
  @Choice public var checkpointing = CheckpointingChoice.none
  /// Bytes that binomial checkpointing may take: what the memory budget leaves.
  @Choice package var checkpointingBudget: Int?
  /// Largest norm of an exact gradient; 0: any.
  @Choice public var clipNorm = defaultClipNorm

  public init() {}
}

/// How gradients become steps.
public struct OptimizerPlan: Equatable, Sendable {
  @Choice public var kind = OptimizerKind.adam
  @Choice public var learningRate = 0.01
  /// Several rates are tried, around `learningRate`.
  @Choice public var searchesRate = false
  @Choice public var momentum = 0.9
  @Choice public var beta2 = 0.999
  @Choice public var weightDecay = 0.0
  /// Of the token table, in parts of `learningRate`.
  @Choice public var tableRate = 1.0
  @Choice public var schedule = ScheduleKind.constant
  /// Updates over which the rate rises from 0.
  @Choice public var warmup = 0

  public init() {}
}

/// When a run ends: at the first of these.
public struct LimitPlan: Equatable, Sendable {
  /// Updates.
  @Choice public var maxSteps: Int?
  /// Tokens of all streams.
  @Choice public var maxTokens: Int?
  @Choice public var maxSeconds: Double?
  /// Passes over the training tokens.
  @Choice public var epochs: Double?
  /// Nats a token, above which the loss may not stay; 0: any. nil: a nat worse than guessing.
  @Choice public var stopAbove: Double?
  /// Nats a token.
  @Choice public var stopBelow: Double?
  /// Evaluations in a row without a better one.
  @Choice public var patience: Int?

  public init() {}

  package var isEmpty: Bool { maxSteps == nil && maxTokens == nil && maxSeconds == nil && epochs == nil }
}

/// How a run is carried out: what changes its cost, its files or its figures, and not what is learnt; but for the seed.
public struct ExecutionPlan: Equatable, Sendable {
  public static let (defaultLossWindows, defaultEvaluatedTokens) = (50, 1_000_000)

  @Choice public var seed: UInt64 = 1337
  @Choice public var threads = 1
  /// Bytes; nil: what the machine has.
  @Choice public var memoryBudget: Int?
  @Choice public var regime = Regime.shared
  /// Windows in the running mean of the loss.
  @Choice public var lossWindows = defaultLossWindows
  /// Updates between evaluations; 0: only at the end. nil: as often as costs little.
  @Choice public var evalInterval: Int?
  /// Held-out tokens that an evaluation reads; 0: all. nil: a million, and at the end all if that is quick.
  @Choice public var evalTokens: Int?
  /// Updates between lines of metrics.jsonl; nil: about a second.
  @Choice public var logInterval: Int?
  /// nil: about a minute.
  @Choice public var saveInterval: SaveChoice?
  @Choice public var replayLog = false
  /// Random: what tells the files of one run from those of another in the same folder; nil in runs of before there was one.
  @Choice package var identity: String?

  public init() {}

  package var savesWeights: Bool { saveInterval != .never }
}
