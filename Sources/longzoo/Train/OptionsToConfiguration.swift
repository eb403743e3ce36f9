import Foundation
import LongzooMemory
import LongzooTraining

extension TrainCommand {
  /// The options over `base`: the defaults, or what a checkpoint says. Options that were not given leave it alone.
  func configuration(over base: RunConfiguration?) throws(RunFailure) -> RunConfiguration {
    var c = base ?? RunConfiguration()
    func set<T>(_ path: WritableKeyPath<RunConfiguration, T>, _ value: T?) {
      if let value { c[keyPath: path] = value }
    }
    func setOptional<T>(_ path: WritableKeyPath<RunConfiguration, T?>, _ value: T?) {
      if let value { c[keyPath: path] = value }
    }

    set(\.dtype, data.dtype)
    set(\.targets, data.targets)
    set(\.compression, data.compression)
    setOptional(\.format, data.format)
    setOptional(\.expectTokens, data.expectTokens?.value)
    set(\.skipTokens, data.skipTokens?.value)
    set(\.zstdWindowLog, data.zstdWindowLog)
    setOptional(\.valPath, heldOut.val.map(AbsolutePath.of))
    c.cell = model.cell ?? c.cell ?? .lstm
    set(\.hiddenSize, model.hiddenSize)
    set(\.layers, model.layers)
    set(\.heads, model.heads)
    setOptional(\.initialWeights, model.initialWeights.map(AbsolutePath.of))
    setOptional(\.tokenScale, model.tokenScale)
    setOptional(\.memorySpan, model.memorySpan?.value)
    set(\.context, streaming.context?.value)
    set(\.window, streaming.window)
    set(\.reset, streaming.reset)
    set(\.estimator, estimator.estimator)
    set(\.checkpointing, estimator.checkpointing)
    set(\.clipNorm, estimator.clipNorm)
    set(\.pairs, estimator.pairs)
    if let eps = estimator.eps {
      c.searchesEpsilon = eps == .auto ? true : nil
      if case .value(let value) = eps { c.epsilon = value }
    }
    set(\.perturbation, estimator.perturbation)
    set(\.rank, estimator.rank)
    set(\.step, estimator.step)
    set(\.lifetime, estimator.lifetime)
    set(\.maxDivergence, estimator.maxDivergence)
    set(\.beyondMomentum, estimator.beyondMomentum)
    setOptional(\.creditDecay, estimator.creditDecay)
    set(\.readout, estimator.readout)
    set(\.optimizer, optimizer.optimizer)
    set(\.momentum, optimizer.momentum)
    set(\.beta2, optimizer.beta2)
    set(\.weightDecay, optimizer.weightDecay)
    setOptional(\.tableRate, optimizer.tableRate)
    set(\.schedule, optimizer.lrSchedule)
    set(\.warmup, optimizer.warmup?.value)
    setOptional(\.maxSteps, limits.maxSteps?.value)
    setOptional(\.maxTokens, limits.maxTokens?.value)
    setOptional(\.maxSeconds, limits.maxSeconds)
    setOptional(\.epochs, limits.epochs)
    setOptional(\.stopAbove, limits.stopAbove)
    setOptional(\.stopBelow, limits.stopBelow)
    setOptional(\.lossWindows, limits.lossWindows)
    set(\.seed, limits.seed)
    setOptional(\.memoryBudget, limits.memoryBudget?.bytes)
    setOptional(\.evalInterval, limits.evalInterval?.value)
    setOptional(\.evalTokens, limits.evalTokens?.value)
    setOptional(\.patience, limits.patience)
    setOptional(\.logInterval, limits.logInterval?.value)
    setOptional(\.saveInterval, limits.saveInterval)
    if limits.replayLog { c.replayLog = true }
    try setData(&c, over: base)
    try setDependent(&c, isNew: base == nil)
    try refuseForeignOptions(c)
    return c
  }

  /// Options of one estimator mean nothing to another.
  private func refuseForeignOptions(_ c: RunConfiguration) throws(RunFailure) {
    let hasPairs = c.estimator.hasPairs
    let (isExact, movesWeights) = (c.estimator.isExact, c.estimator.movesWeights)
    let isEstimate = movesWeights && !isExact
    let options: [(name: String, isGiven: Bool, hasMeaning: Bool)] = [
      ("--pairs", estimator.pairs != nil, hasPairs), ("--eps", estimator.eps != nil, hasPairs),
      ("--perturbation", estimator.perturbation != nil, movesWeights),
      ("--rank", estimator.rank != nil, movesWeights),
      ("--lifetime", estimator.lifetime != nil, movesWeights), ("--step", estimator.step != nil, isEstimate),
      ("--max-divergence", estimator.maxDivergence != nil, isEstimate),
      ("--readout", estimator.readout != nil, hasPairs && !isExact),
      ("--credit-decay", estimator.creditDecay != nil, c.estimator == .node),
      ("--beyond-momentum", estimator.beyondMomentum != nil, c.estimator == .hybrid),
      ("--checkpointing", estimator.checkpointing != nil, isExact),
      ("--clip-norm", estimator.clipNorm != nil, isExact),
    ]
    for option in options where option.isGiven && !option.hasMeaning {
      throw .usage("\(option.name) means nothing to --estimator \(c.estimator.rawValue); leave it out")
    }
    if optimizer.beta2 != nil, c.optimizer == .sgd {
      throw .usage("--beta2 means nothing to --optimizer sgd; leave it out")
    }
    try refuseForeignMethodOptions(c)
  }

  /// The estimators from pairs share most options, but not all.
  private func refuseForeignMethodOptions(_ c: RunConfiguration) throws(RunFailure) {
    let name = c.estimator.rawValue
    if estimator.eps != nil, c.estimator == .jvp {
      throw .usage(
        "--eps means nothing to --estimator jvp, which takes derivatives and no differences; leave it out")
    }
    if estimator.maxDivergence != nil, c.estimator == .jvp || c.estimator == .fdRGE {
      throw .usage(
        "--max-divergence means nothing to --estimator \(name), which has no state under both signs; leave it out"
      )
    }
    if estimator.lifetime != nil, c.estimator.method?.isUnrolled == true {
      throw .usage(
        "--lifetime means nothing to --estimator \(name), whose pairs all begin anew with every context; leave it out, or "
          + "take cd-rge")
    }
    if c.step == .polyak, c.estimator == .pes {
      throw .usage(
        "--step polyak takes slopes along single directions, and pes has sums of them; take --step gradient")
    }
  }

  /// Many positions make a minute's learning; but exact gradients of whole contexts hold each of them in full.
  private func defaultStreams(_ c: RunConfiguration) -> Int {
    switch c.estimator {
    case .cdRGE, .fdRGE, .jvp, .nres, .pes, .node: c.pairs
    case .tbptt: RunConfiguration.defaultTruncation
    case .hybrid: min(RunConfiguration.defaultTruncation, c.pairs)
    case .bptt: 1
    }
  }

  /// The columns of hybrid only tell what crosses a window's border.
  private func setHybridDefaults(_ c: inout RunConfiguration) {
    if estimator.lifetime == nil { c.lifetime = RunConfiguration.defaultHybridLifetime }
    if estimator.pairs == nil, !c.isPipe {
      c.pairs = max(RunConfiguration.defaultHybridPairs, streaming.streams ?? 0)
    }
  }

  private func defaultEpsilon(_ c: RunConfiguration) -> Double {
    switch c.estimator {
    case .hybrid: RunConfiguration.defaultHybridEpsilon
    case .node where c.readout == .zo: RunConfiguration.defaultLogitEpsilon
    default: RunConfiguration.defaultEpsilon
    }
  }

  /// Defaults that depend on other options.
  private func setDependent(_ c: inout RunConfiguration, isNew: Bool) throws(RunFailure) {
    c.threads = limits.threads ?? (isNew ? ProcessInfo.processInfo.activeProcessorCount : c.threads)
    try setDataDefaults(&c, isNew: isNew)
    if isNew, c.isPipe {
      c.setPipeDefaults(arePairsGiven: estimator.pairs != nil, isContextGiven: streaming.context != nil)
    }
    if isNew { setWindowDefaults(&c) }
    if let streams = streaming.streams {
      c.streams = streams
    } else if isNew {
      c.streams = c.isPipe ? 1 : defaultStreams(c)
    }
    if isNew { setRecipe(&c) }
    if isNew || optimizer.lr != nil {
      c.searchesRate = optimizer.lr == .auto
      c.learningRate = if case .value(let rate) = optimizer.lr { rate } else { c.defaultRate }
    }
  }

  private func setDataDefaults(_ c: inout RunConfiguration, isNew: Bool) throws(RunFailure) {
    if let vocabulary = data.vocabSize {
      c.vocabularySize = vocabulary
    } else if isNew {
      guard c.dtype == .u8 else {
        throw .usage("--dtype \(c.dtype.rawValue) needs --vocab-size: how many token ids there are")
      }
      c.vocabularySize = c.dtype.range(c.targets)
    }
    if isNew, c.paths.isEmpty { c.paths = [AbsolutePath.of(try BundledCorpus.path())] }
    if let fraction = heldOut.valFraction {
      c.valFraction = fraction
    } else if isNew {
      c.valFraction = c.isPipe || c.valPath != nil ? 0 : RunConfiguration.defaultHoldout
    }
  }

  /// Windows, contexts and what the estimator does over them.
  private func setWindowDefaults(_ c: inout RunConfiguration) {
    if c.estimator == .hybrid { setHybridDefaults(&c) }
    if estimator.eps == nil || estimator.eps == .auto { c.epsilon = defaultEpsilon(c) }
    if streaming.window == nil {
      switch c.estimator {
      case .cdRGE, .fdRGE, .jvp, .nres, .pes, .node: break
      case .tbptt, .hybrid: c.window = .tokens(RunConfiguration.defaultTruncation)
      case .bptt: c.window = .context
      }
    }
    if streaming.context == nil {
      switch c.estimator {
      case .tbptt, .hybrid: c.context = RunConfiguration.defaultTruncatedContext
      case .pes: c.context = RunConfiguration.defaultPESContext
      case .cdRGE, .fdRGE, .jvp, .nres, .node, .bptt: break
      }
    }
    // Their credit reaches back to the context's start, and would end where a pair is sent back.
    if estimator.maxDivergence == nil, c.estimator.method?.isUnrolled == true { c.maxDivergence = 0 }
  }

  /// Optimizer, schedule and what goes with them; the rate follows from these (`RunConfiguration.defaultRate`).
  private func setRecipe(_ c: inout RunConfiguration) {
    let searchesRate = optimizer.lr == .auto
    if optimizer.optimizer == nil {
      c.optimizer = Recipe.optimizer(c, schedule: optimizer.lrSchedule, searchesRate: searchesRate)
    }
    if optimizer.lrSchedule == nil {
      c.schedule = Recipe.falls(c, searchesRate: searchesRate) ? .cosine : .constant
    }
    if optimizer.momentum == nil { c.momentum = Recipe.momentum(c) }
    if optimizer.weightDecay == nil { c.weightDecay = Recipe.weightDecay(c) }
    if optimizer.tableRate == nil { c.tableRate = Recipe.tableRate(c) }
  }
}

/// The small corpus that comes with the program, for whoever gives no data.
enum BundledCorpus {
  private static let name = "zoo.zst"

  /// Looks in $LONGZOO_CORPORA, beside and above the program, and in the working folder.
  /// - Throws: exit code 66.
  static func path() throws(RunFailure) -> String {
    var folders: [String] = []
    if let given = ProcessInfo.processInfo.environment["LONGZOO_CORPORA"] { folders.append(given) }
    var folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    while folder.path != "/" {
      folders.append(folder.appendingPathComponent("corpora").path)
      folders.append(folder.appendingPathComponent("share/longzoo/corpora").path)
      folder.deleteLastPathComponent()
    }
    folders.append("corpora")
    for folder in folders where FileManager.default.fileExists(atPath: folder + "/" + name) {
      return folder + "/" + name
    }
    throw .missingInput(
      "no data was given, and the bundled corpus (\(name)) is not beside the program; name a file, or set LONGZOO_CORPORA to its folder"
    )
  }
}
