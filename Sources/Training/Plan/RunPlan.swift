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

  /// What the units compute.
  @Choice public var cell = Cell.lstm
  /// Units of a layer.
  @Choice public var hiddenSize = defaultHiddenSize
  @Choice public var layers = 1
  /// A unit sees the recurrent state of its own head only.
  @Choice public var heads = 1
  /// How layers are put together.
  @Choice public var block = BlockKind.plain
  /// Width of the embedding by which tokens enter; 0: none, which residual blocks cannot do with.
  @Choice public var embeddingSize = 0
  /// A safetensors file, or the folder of a run; nil: random weights.
  @Choice public var initialWeights: String?
  /// The token table starts uniform in ± this; nil: 1/√ of the units of a head.
  @Choice public var tokenScale: Double?
  /// Units start by remembering for 1 to so many tokens; nil: as the cell begins.
  @Choice public var memorySpan: Int?

  public init() {}
}

/// How the tokens come to the model.
public struct StreamingPlan: Equatable, Sendable {
  /// Tokens between resets; 0: never.
  @Choice public var context = EstimatorFamily.standard.defaults.context
  /// Tokens of each stream between updates.
  @Choice public var window = EstimatorFamily.standard.defaults.window
  /// Positions in the data that are read in parallel.
  @Choice public var streams = 1
  @Choice public var reset = ResetKind.context

  public init() {}
}

/// How gradients are estimated: what an `EstimatorConfiguration` has, and who is told.
public struct EstimatorPlan: Equatable, Sendable {
  private static let standard = EstimatorConfiguration()

  @Choice public var family = EstimatorFamily.standard
  @Choice public var pairs = standard.pairs
  @Choice public var epsilon = standard.epsilon
  /// Several ε are tried, around `epsilon`.
  @Choice public var searchesEpsilon = false
  @Choice public var perturbation = standard.perturbation
  /// Products in a direction.
  @Choice public var rank = standard.rank
  @Choice public var step = standard.step
  /// Windows for which a pair keeps its direction.
  @Choice public var lifetime = standard.lifetime
  @Choice public var maxDivergence = standard.maxDivergence
  /// β of the running mean of what lies beyond the window.
  @Choice public var beyondMomentum = standard.beyondMomentum
  /// γ, what a loss one token later is worth to a gate.
  @Choice public var creditDecay = standard.creditDecay
  @Choice public var readout = standard.readout
  @Choice public var checkpointing = standard.checkpointing
  /// Bytes that binomial checkpointing may take: what the memory budget leaves.
  @Choice package var checkpointingBudget: Int?
  /// Largest norm of an exact gradient; 0: any.
  @Choice public var clipNorm = standard.clipNorm

  public init() {}

  /// What the estimator is told.
  package var configuration: EstimatorConfiguration {
    EstimatorConfiguration(
      pairs: pairs, epsilon: epsilon, perturbation: perturbation, rank: rank, step: step, lifetime: lifetime,
      maxDivergence: maxDivergence, beyondMomentum: beyondMomentum, creditDecay: creditDecay,
      readout: readout, checkpointing: checkpointing, clipNorm: clipNorm)
  }
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
  /// The token table's rate, in parts of `learningRate`.
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
