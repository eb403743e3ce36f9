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

/// Which tokens are read, and which are held out.
///
/// `plan.paths` is `plan.configuration.paths`, and so with all of its properties.
@dynamicMemberLookup
public struct DataPlan: Equatable, Sendable {
  public static let defaultHoldout = 0.1

  public var configuration = DataConfiguration()
  /// Held-out tokens in a file of their own.
  @Choice public var heldOutPath: String?
  /// The data is a pipe that has a name.
  @Choice package var readsNamedPipe = false
  /// Tokens that each stream had given when the run went on with this data; nil: it began with it.
  @Choice package var tokensBefore: Int?

  public init() {}

  public subscript<Value>(dynamicMember property: WritableKeyPath<DataConfiguration, Value>) -> Value {
    get { configuration[keyPath: property] }
    set { configuration[keyPath: property] = newValue }
  }

  package var isPipe: Bool { self.paths == ["-"] || readsNamedPipe }
  package var hasHeldOut: Bool { heldOutPath != nil || configuration.holdsOut }
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
  /// Width of the embedding by which tokens enter; 0: none, which residual blocks and some cells cannot do with.
  @Choice public var embeddingSize = 0
  /// Slots of the memory that `Cell.dnc` has; 0: none.
  @Choice public var memorySlots = 0
  /// Heads that read the memory, a divisor of the units: a slot has as many numbers as they leave each.
  @Choice public var readHeads = 1
  /// Whether the memory starts at zero: its slots then stay alike.
  @Choice public var emptyMemory = false
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

/// How gradients are estimated: by which family, and what it is told.
///
/// `plan.pairs` is `plan.configuration.pairs`, and so with all of its properties.
@dynamicMemberLookup
public struct EstimatorPlan: Equatable, Sendable {
  @Choice public var family = EstimatorFamily.standard
  public var configuration = EstimatorConfiguration()
  /// Several ε are tried, around `epsilon`.
  @Choice public var searchesEpsilon = false
  /// Bytes that binomial checkpointing may take: what the memory budget leaves.
  @Choice package var checkpointingBudget: Int?

  public init() {}

  public subscript<Value>(dynamicMember property: WritableKeyPath<EstimatorConfiguration, Value>) -> Value {
    get { configuration[keyPath: property] }
    set { configuration[keyPath: property] = newValue }
  }
}

/// How gradients become steps: what the optimizer is told, and at which rate it is used.
///
/// `plan.momentum` is `plan.configuration.momentum`, and so with all of its properties.
@dynamicMemberLookup
public struct OptimizerPlan: Equatable, Sendable {
  public var configuration = Optimizer.Configuration()
  @Choice public var learningRate = 0.01
  /// Several rates are tried, around `learningRate`.
  @Choice public var searchesRate = false
  @Choice public var schedule = ScheduleKind.constant
  /// Updates over which the rate rises from 0.
  @Choice public var warmup = 0

  public init() {}

  public subscript<Value>(dynamicMember property: WritableKeyPath<Optimizer.Configuration, Value>) -> Value {
    get { configuration[keyPath: property] }
    set { configuration[keyPath: property] = newValue }
  }
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
