import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooStream

extension RunPlan {
  /// One of a plan's properties: its name for people, its key in files, and its value.
  package struct Entry: Sendable {
    /// nil: it follows from others, or belongs to one run alone.
    package let setting: Setting?
    package let key: String
    /// Whether it is told to the estimator, as a property of its configuration.
    package let isOfEstimator: Bool
    package let isGiven: @Sendable (RunPlan) -> Bool
    /// As it is told: a number, a name, a path; nil where there is no value.
    package let text: @Sendable (RunPlan) -> String?
    let encode: @Sendable (RunPlan, inout KeyedEncodingContainer<Key>) throws -> Void
    let decode: @Sendable (inout RunPlan, KeyedDecodingContainer<Key>) throws -> Void

    init<Value: PlanValue & Equatable>(
      _ setting: Setting?, _ key: String, _ path: WritableKeyPath<RunPlan, Choice<Value>> & Sendable,
      isOfEstimator: Bool = false,
      text: (@Sendable (RunPlan) -> String?)? = nil
    ) {
      let name = Key(key)
      self.setting = setting
      self.key = key
      self.isOfEstimator = isOfEstimator
      isGiven = { $0[keyPath: path].isGiven }
      self.text = text ?? { $0[keyPath: path].wrappedValue.planText }
      // What people do not tell is not said either where it is as ever.
      let isHidden = setting == nil
      encode = { plan, container in
        if isHidden, plan[keyPath: path] == RunPlan()[keyPath: path] { return }
        try container.encodeIfPresent(plan[keyPath: path].wrappedValue.presentValue, forKey: name)
      }
      decode = { plan, container in
        guard let value = try container.decodeIfPresent(Value.Present.self, forKey: name) else { return }
        plan[keyPath: path].settle(Value(present: value))
      }
    }
  }

  package struct Key: CodingKey {
    package let stringValue: String
    package var intValue: Int? { nil }

    init(_ name: String) { stringValue = name }
    package init?(stringValue: String) { self.stringValue = stringValue }
    package init?(intValue: Int) { nil }
  }

  /// All of them, in the order in which people read them. The keys are those of the first version's files.
  package static let entries: [Entry] = [
    Entry(.data, "paths", \.data.$paths), Entry(.tokenType, "dtype", \.data.$tokenType),
    Entry(.compression, "compression", \.data.$compression), Entry(.format, "format", \.data.$format),
    Entry(.vocabularySize, "vocabularySize", \.data.$vocabularySize),
    Entry(.targets, "targets", \.data.$targets), Entry(.heldOutPath, "valPath", \.data.$heldOutPath),
    Entry(.holdoutFraction, "valFraction", \.data.$holdoutFraction),
    Entry(.expectTokens, "expectTokens", \.data.$expectTokens),
    Entry(.skipTokens, "skipTokens", \.data.$skipTokens),
    Entry(.zstdWindowLog, "zstdWindowLog", \.data.$zstdWindowLog),
    Entry(nil, "readsNamedPipe", \.data.$readsNamedPipe),
    Entry(nil, "tokensBeforeData", \.data.$tokensBefore),

    Entry(.cell, "cell", \.model.$cell), Entry(.hiddenSize, "hiddenSize", \.model.$hiddenSize),
    Entry(.layers, "layers", \.model.$layers), Entry(.heads, "heads", \.model.$heads),
    Entry(.block, "block", \.model.$block), Entry(.embeddingSize, "embeddingSize", \.model.$embeddingSize),
    Entry(.memorySlots, "memorySlots", \.model.$memorySlots),
    Entry(.readHeads, "readHeads", \.model.$readHeads),
    Entry(.emptyMemory, "emptyMemory", \.model.$emptyMemory),
    Entry(.initialWeights, "initialWeights", \.model.$initialWeights) {
      $0.model.initialWeights.map(AbsolutePath.of)
    },
    Entry(.tokenScale, "tokenScale", \.model.$tokenScale),
    Entry(.memorySpan, "memorySpan", \.model.$memorySpan),

    Entry(.context, "context", \.streaming.$context), Entry(.window, "window", \.streaming.$window),
    Entry(.streams, "streams", \.streaming.$streams), Entry(.reset, "reset", \.streaming.$reset),

    Entry(.estimator, "estimator", \.estimator.$family),
    Entry(.pairs, "pairs", \.estimator.$pairs, isOfEstimator: true),
    Entry(.epsilon, "epsilon", \.estimator.$epsilon, isOfEstimator: true) {
      $0.estimator.searchesEpsilon ? "auto" : $0.estimator.epsilon.planText
    },
    Entry(nil, "searchesEpsilon", \.estimator.$searchesEpsilon, isOfEstimator: true),
    Entry(.perturbation, "perturbation", \.estimator.$perturbation, isOfEstimator: true),
    Entry(.rank, "products", \.estimator.$rank, isOfEstimator: true),
    Entry(.step, "step", \.estimator.$step, isOfEstimator: true),
    Entry(.lifetime, "lifetime", \.estimator.$lifetime, isOfEstimator: true),
    Entry(.maxDivergence, "maxDivergence", \.estimator.$maxDivergence, isOfEstimator: true),
    Entry(.beyondMomentum, "beyondMomentum", \.estimator.$beyondMomentum, isOfEstimator: true),
    Entry(.creditDecay, "creditDecay", \.estimator.$creditDecay, isOfEstimator: true),
    Entry(.readout, "readout", \.estimator.$readout, isOfEstimator: true),
    Entry(.checkpointing, "checkpointing", \.estimator.$checkpointing, isOfEstimator: true),
    Entry(nil, "checkpointingBudget", \.estimator.$checkpointingBudget),
    Entry(.clipNorm, "clipNorm", \.estimator.$clipNorm, isOfEstimator: true),

    Entry(.optimizer, "optimizer", \.optimizer.$kind),
    Entry(.learningRate, "learningRate", \.optimizer.$learningRate) {
      $0.optimizer.searchesRate ? "auto" : $0.optimizer.learningRate.planText
    },
    Entry(nil, "searchesRate", \.optimizer.$searchesRate),
    Entry(.momentum, "momentum", \.optimizer.$momentum), Entry(.beta2, "beta2", \.optimizer.$beta2),
    Entry(.weightDecay, "weightDecay", \.optimizer.$weightDecay),
    Entry(.tableRate, "tableRate", \.optimizer.$tableRate),
    Entry(.schedule, "schedule", \.optimizer.$schedule), Entry(.warmup, "warmup", \.optimizer.$warmup),

    Entry(.maxSteps, "maxSteps", \.limits.$maxSteps), Entry(.maxTokens, "maxTokens", \.limits.$maxTokens),
    Entry(.maxSeconds, "maxSeconds", \.limits.$maxSeconds), Entry(.epochs, "epochs", \.limits.$epochs),
    Entry(.stopAbove, "stopAbove", \.limits.$stopAbove), Entry(.stopBelow, "stopBelow", \.limits.$stopBelow),
    Entry(.patience, "patience", \.limits.$patience),

    Entry(.seed, "seed", \.run.$seed), Entry(.threads, "threads", \.run.$threads),
    Entry(.memoryBudget, "memoryBudget", \.run.$memoryBudget), Entry(.regime, "regime", \.run.$regime),
    Entry(.lossWindows, "lossWindows", \.run.$lossWindows),
    Entry(.evalInterval, "evalInterval", \.run.$evalInterval),
    Entry(.evalTokens, "evalTokens", \.run.$evalTokens),
    Entry(.logInterval, "logInterval", \.run.$logInterval),
    Entry(.saveInterval, "saveInterval", \.run.$saveInterval),
    Entry(.replayLog, "replayLog", \.run.$replayLog), Entry(nil, "identity", \.run.$identity),
  ]

  /// The entries of these settings, in the order of the table.
  static func entries(of settings: Set<Setting>) -> [Entry] {
    entries.filter { $0.setting.map(settings.contains) ?? false }
  }
}

extension RunPlan: Codable {
  /// A missing key is an older file's, and means the default.
  public init(from decoder: any Decoder) throws {
    self.init()
    let container = try decoder.container(keyedBy: Key.self)
    for entry in Self.entries { try entry.decode(&self, container) }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    for entry in Self.entries { try entry.encode(self, &container) }
  }
}

extension RunPlan {
  /// What a resume may not change: the states and directions in the checkpoint mean nothing otherwise.
  package static let fixed: Set<Setting> = [
    .estimator, .tokenType, .vocabularySize, .targets, .cell, .holdoutFraction, .skipTokens, .hiddenSize,
    .layers,
    .heads, .block, .embeddingSize, .memorySlots, .readHeads, .emptyMemory, .window, .streams, .pairs,
    .perturbation, .rank, .lifetime, .readout,
    .optimizer, .seed, .regime,
    .initialWeights, .tokenScale, .memorySpan,
  ]
  /// What a replay log may not see change besides.
  package static let replayed: Set<Setting> = [.momentum, .beta2, .weightDecay, .tableRate]

  /// The first of these settings that another plan has otherwise, and both values.
  package func firstDifference(
    from other: RunPlan, of settings: Set<Setting>
  ) -> (setting: Setting, value: String, other: String)? {
    for entry in Self.entries(of: settings) {
      let (value, otherValue) = (entry.text(self), entry.text(other))
      if value != otherValue { return (entry.setting!, value ?? "none", otherValue ?? "none") }
    }
    return nil
  }
}
