import ArgumentParser
import LongzooEstimator
import LongzooModel
import LongzooStream
import LongzooTraining

struct DataOptions: ParsableArguments {
  @Option(help: "Bytes of a token as it is stored: u8, u16 or u32, little-endian. (default: u8)")
  var dtype: TokenType?
  @Option(help: "auto, none, zstd or lz4. (default: auto, by the first bytes)")
  var compression: CompressionChoice?
  @Option(
    help:
      "auto refuses files of a known format that is no stream of tokens (gzip, parquet, npy, …) and warns of another width; raw takes the bytes as they are. (default: auto)"
  )
  var format: FormatChoice?
  @Option(
    help: "Ids from here on are an error. (default: 256 for u8, 128 if marked; needed for u16 and u32)",
    transform: TokenCount.number)
  var vocabSize: Int?
  @Option(
    help:
      "What is to be predicted: all tokens, or marked: those whose highest bit is not set; the others are read only. (default: all; eval: as in training)"
  )
  var targets: TargetChoice?
  @Option(
    help: "Leave out the first N tokens of the data.", transform: TokenCount.parse)
  var skipTokens: TokenCount?
  @Option(
    help: "Fail if the data does not have exactly N tokens: finds a pipe that was cut off.",
    transform: TokenCount.parse)
  var expectTokens: TokenCount?
  @Option(
    help: "The largest zstd window that is accepted, as a power of two, 10 to 31. (default: 27)",
    transform: TokenCount.number)
  var zstdWindowLog: Int?
}

struct HeldOutOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Held-out data in a file of its own.", valueName: "path"))
  var val: String?
  @Option(
    help: "The last part of the files' tokens, held out of training; 0: none. (default: 0.1)",
    transform: DecimalNumber.parse)
  var valFraction: Double?
}

/// What `train`, `bench` and `compare` ask of a model alike.
struct LayerOptions: ParsableArguments {
  @Option(help: ArgumentHelp(Cell.optionHelp)) var cell: Cell?
  @Option(help: "Recurrent layers. (default: 1)", transform: TokenCount.number)
  var layers: Int?
  @Option(
    help:
      "How layers are put together: plain (each reads the one below) or residual (each adds to what it reads, normed and gated, from an embedding on). (default: residual for element-wise cells of two layers or more)"
  )
  var block: BlockKind?
  @Option(
    help: "Width of tokens' embedding; 0: none. (default: 0; --hidden-size for residual, rglru, elstm, dnc)",
    transform: TokenCount.number)
  var embeddingSize: Int?
  @Option(help: "Slots of dnc's memory. (default: --hidden-size)", transform: TokenCount.number)
  var memorySlots: Int?
  @Option(help: "Heads that read it. (default: 1)", transform: TokenCount.number) var readHeads: Int?
  @Flag(help: "dnc's memory starts at zero, where all slots stay alike.") var emptyMemory = false
}

struct ModelOptions: ParsableArguments {
  @OptionGroup var layers: LayerOptions
  @Option(help: "Units of a layer. (default: \(ModelPlan.defaultHiddenSize))", transform: TokenCount.number)
  var hiddenSize: Int?
  @Option(
    help: "The token table starts uniform in ±this. (default: 1/√ of the units of a head)",
    transform: DecimalNumber.parse)
  var tokenScale: Double?
  @Option(
    help:
      "Units start by remembering for 1 to N tokens (chrono initialization); for what is asked for long after it was said. (default: about 4)",
    transform: TokenCount.parse)
  var memorySpan: TokenCount?
  @Option(
    help:
      "Heads: a unit sees the recurrent state of its own head only (block-diagonal matrices). (default: 1)",
    transform: TokenCount.number)
  var heads: Int?
  @Option(
    name: .customLong("init"),
    help: ArgumentHelp("Start from these weights (safetensors, PyTorch's names).", valueName: "path"))
  var initialWeights: String?
}

struct StreamingOptions: ParsableArguments {
  @Option(
    name: [.long, .customLong("seq-len"), .customLong("ctx-len")],
    help:
      "Tokens over which the state is carried before it is reset; 0: never. (default: 1M; 10k for tbptt and hybrid, 1024 for pes, \(EstimatorFamily.standard.defaults.pipeContext) for other pairs from a pipe but hybrid's)",
    transform: TokenCount.parse)
  var context: TokenCount?
  @Option(
    help:
      "Tokens between updates, or 'context' for one update per context. (default: \(EstimatorFamily.standard.defaults.window.tokens ?? 8))",
    transform: WindowChoice.parse)
  var window: WindowChoice?
  @Option(
    name: [.long, .customLong("batch-size")],
    help:
      "Positions in the data that are read in parallel, at most one a pair. (default: one a pair; 1 for a pipe)",
    transform: TokenCount.number)
  var streams: Int?
  @Option(
    help:
      "When states go back to zero: context (stream s of S for the first time after s/S of a context, in whole windows, and then after every --context tokens, so that some stream is always near a start), together (all streams at once, as those of nres and pes always are) or never. (default: context)"
  )
  var reset: ResetKind?
}

struct EstimatorOptions: ParsableArguments {
  @Option(help: ArgumentHelp(EstimatorFamily.optionHelp))
  var estimator: EstimatorFamily?
  @Option(
    help:
      "Pairs of perturbed models, +ε and −ε; of jvp and fd-rge: directions. (default: \(EstimatorFamily.standard.defaults.pairs); \(EstimatorFamily.standard.defaults.pipePairs) for a pipe)",
    transform: TokenCount.number)
  var pairs: Int?
  @Option(
    name: [.long, .customLong("zo-eps")],
    help:
      "Scale ε of the perturbation, or auto: several are tried on the first windows, as with --lr auto. (default: \(EstimatorFamily.epsilonDefaults))",
    transform: SearchedNumber.parse)
  var eps: SearchedNumber?
  @Option(
    help:
      "The length of a step: gradient (--lr times the estimate); normalized (that over the spread of the pairs' slopes), clipped (the same with outliers among them cut to ±2 spreads); or polyak (--lr times the step that would bring the loss to 0, were it straight; for samples that a model can learn by heart). (default: gradient)"
  )
  var step: StepRule?
  @Option(
    help:
      "Directions: rank1 (signs a·bᵀ), rademacher (a sign for every weight) or gaussian (a standard normal number for every parameter; several times slower, and not for fd-rge). (default: rank1)"
  )
  var perturbation: Perturbation?
  @Option(
    help:
      "Products in a direction of rank1: the sum of N of them over √N, 1 to \(DirectionKind.mostProducts). (default: 1)",
    transform: TokenCount.number)
  var rank: Int?
  @Option(
    help:
      "Windows for which a pair of cd-rge, fd-rge, jvp or hybrid keeps its direction; credit reaches lifetime × window tokens back. (default: \(EstimatorFamily.defaults(\.lifetime, of: .lifetime)))",
    transform: TokenCount.number)
  var lifetime: Int?
  @Option(
    help:
      "Send a pair back to the clean state of its stream once its ± states are further apart than this, rms(h₊ − h₋)/rms(h); 0: never. (default: \(EstimatorFamily.defaults(\.maxDivergence, of: .maxDivergence)), whose credit would end there)",
    transform: DecimalNumber.parse)
  var maxDivergence: Double?
  @Option(
    help:
      "hybrid: momentum of the mean of what lies beyond the window, which is shrunk to what both halves of the pairs agree on; 0: neither. (default: \(EstimatorConfiguration().beyondMomentum))",
    transform: DecimalNumber.parse)
  var beyondMomentum: Double?
  @Option(
    help:
      "node: what a loss one token later is worth to a gate, 0 to 1; less than 1 has less noise, and some bias. (default: \(EstimatorConfiguration().creditDecay))",
    transform: DecimalNumber.parse)
  var creditDecay: Double?
  @Option(
    help:
      "How the readout is trained: exact (its gradient summed online) or zo (estimated from losses, as all else is). (default: exact)"
  )
  var readout: ReadoutKind?
  @Option(
    help:
      "What bptt keeps of its window: none (everything), sqrt, binomial (as many states as --memory-budget has room for), or segments of N tokens. (default: none)",
    transform: CheckpointingChoice.parse)
  var checkpointing: CheckpointingChoice?
  @Option(
    help: "Largest norm of bptt's gradient; 0: any. (default: \(EstimatorConfiguration().clipNorm))",
    transform: DecimalNumber.parse)
  var clipNorm: Double?
}

struct OptimizerOptions: ParsableArguments {
  @Option(
    help:
      "adam, sgd, or muon: the layers' matrices move along the orthogonal part of their gradient's mean, all else by adam. (default: adam; muon for tbptt, bptt, hybrid and short runs of cd-rge: docs/defaults.md)"
  )
  var optimizer: OptimizerKind?
  @Option(
    name: [.long, .customLong("learning-rate")],
    help:
      "Learning rate, or auto: several are tried on the first windows, for at most a tenth of --max-seconds, and whenever the loss stands still. (default: 0.01·√(pairs/256); other estimators and optimizers: docs/defaults.md)",
    transform: SearchedNumber.parse)
  var lr: SearchedNumber?
  @Option(
    help:
      "Momentum of sgd, β₁ of adam and muon. (default: 0.9; \(Recipe.muonMomentum) of muon)",
    transform: DecimalNumber.parse)
  var momentum: Double?
  @Option(help: "β₂ of adam and muon. (default: 0.999)", transform: DecimalNumber.parse)
  var beta2: Double?
  @Option(
    help:
      "Decoupled weight decay. (default: 0; 0.05 by muon with exact gradients, 0.01 with cd-rge, 0.1 by adam with tbptt and hybrid)",
    transform: DecimalNumber.parse)
  var weightDecay: Double?
  @Option(
    help:
      "Learning rate of the token table in parts of --lr. (default: 1; by adam or muon \(Int(Recipe.truncatedTableRate)) for tbptt and hybrid, and bptt by muon, \(Int(Recipe.nodeTableRate)) for node)",
    transform: DecimalNumber.parse)
  var tableRate: Double?
  @Option(
    help:
      "\(ScheduleKind.help) (default: constant; cosine for tbptt, bptt, hybrid and short runs of cd-rge where an end is known)"
  )
  var lrSchedule: ScheduleKind?
  @Option(
    help: "Updates over which the learning rate rises from 0. (default: 0)", transform: TokenCount.parse)
  var warmup: TokenCount?
}

struct RunOptions: ParsableArguments {
  @Option(
    help:
      "How weights are kept: shared (with copies, gradient, optimizer and average), inplace (once, by plain SGD on rank-one directions), or auto: inplace where shared does not fit. (default: auto)"
  )
  var regime: RegimeChoice?
  @Option(help: "End after N updates in all, those before a resume included.", transform: TokenCount.parse)
  var maxSteps: TokenCount?
  @Option(help: "End after N stream tokens in all.", transform: TokenCount.parse)
  var maxTokens: TokenCount?
  @Option(
    help:
      "End after this much training in all, in seconds or as 90s, 10m, 1.5h; evaluation and waiting for a pipe do not count.",
    transform: DurationText.parse)
  var maxSeconds: Double?
  @Option(
    help: "End after this many passes over the training tokens; 0.5 is half of one.",
    transform: DecimalNumber.parse)
  var epochs: Double?
  @Option(
    help:
      "Give up as diverged, with the last good weights and exit code 1, once the loss stays above this many nats a token, and 1 above its best; 0: never. (default: log of the vocabulary, + 1)",
    transform: DecimalNumber.parse)
  var stopAbove: Double?
  @Option(
    help:
      "End once the running mean of the training loss is below this, in nats. Next to another limit: without one a run ends as it would anyway.",
    transform: DecimalNumber.parse)
  var stopBelow: Double?
  @Option(
    help:
      "Windows that the running mean of the training loss goes over, about; 1: the loss of the last window, before its update. (default: \(ExecutionPlan.defaultLossWindows))",
    transform: TokenCount.number)
  var lossWindows: Int?
  @Option(help: "Seed of all randomness. (default: 1337)", transform: Seed.parse)
  var seed: UInt64?
  @Option(help: "Threads. (default: all processors)", transform: TokenCount.number)
  var threads: Int?
  @Option(
    help: ArgumentHelp("Refuse what would hold more than this: B, KiB, MiB, GiB.", valueName: "size"),
    transform: ByteSizeArgument.parse)
  var memoryBudget: ByteSizeArgument?
  @Option(
    help: ArgumentHelp(
      "Folder of checkpoints, weights and metrics. (default: runs/ and the time)", valueName: "path"))
  var outDir: String?
  @Option(
    help:
      "Updates between evaluations of the held-out tokens, the best of which is kept as the model; 0: only at the end, and the last weights are kept. (default: about twenty a run, for at most a tenth of its time)",
    transform: TokenCount.parse)
  var evalInterval: TokenCount?
  @Option(
    help:
      "Held-out tokens that an evaluation reads; 0: all. (default: 1M, and at the end all if that is quick)",
    transform: TokenCount.parse)
  var evalTokens: TokenCount?
  @Option(
    help: "End after N evaluations in a row without a better one. (default: go on)",
    transform: TokenCount.number)
  var patience: Int?
  @Option(
    help: "Updates between lines of metrics.jsonl. (default: about one a second)", transform: TokenCount.parse
  )
  var logInterval: TokenCount?
  @Option(
    help:
      "Updates between checkpoints; 0: only at the end; never: no weights are written. (default: about one a minute)",
    transform: SaveChoice.parse)
  var saveInterval: SaveChoice?
  @Flag(
    help:
      "Write replay.log, from which 'longzoo replay' makes the weights of any step again: a few bytes a pair and update. With --readout zo."
  )
  var replayLog = false
  @Option(
    help: ArgumentHelp(
      "Options from a YAML or JSON file, such as the config.yaml of a run; the command line and LONGZOO_… variables win over it.",
      valueName: "file"))
  var config: String?
}
