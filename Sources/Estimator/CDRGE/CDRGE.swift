import LongzooMemory
import LongzooModel

/// Central-difference random gradient estimation (arXiv 2505.17852), windowed, with carried states.
///
/// g = (1/P) Σ_p [(L₊ − L₋)/2ε]·z_p, with L the mean loss of a target of the window in nats (where the pairs' streams differ
/// in their number of targets: a pair's sum of losses over the mean number). Every pair carries its ±
/// states from window to window; after a lifetime of R windows it takes a new direction and starts again from the clean
/// state of its stream, so that credit reaches at most R·K tokens back. The tiles' lifetimes are staggered. In
/// expectation g is the gradient of the smoothed loss E L(θ + εz), truncated to the lifetime. The same population serves
/// the estimators of `PopulationMethod`.
///
/// Its memory grows neither with the window nor with the context; its noise grows with the parameters. Not
/// where the exact gradient fits memory: that has no noise (`BPTT`).
public final class CDRGE: PartialGradientEstimator, PerturbingEstimator, InPlaceEstimator {
  /// What it was told.
  public let configuration: Configuration
  /// ε of the next window; at first the configuration's.
  public var epsilon: Float
  package let population: Population
  /// The estimate of the last window, [parameterCount] in the order of `ModelShape.tensors`; empty in place, and of the parameters
  /// between the table and the readout where `Configuration.givesParts` says so.
  public let gradient: Buffer<Float>
  /// The unmoved weights as the kernels read them; in place the only copy there is.
  public let weights: PackedWeights
  private let directions: Directions
  private let zerothOrder: ZerothOrderGradient?
  private let update: InPlaceUpdate?
  private let readout: (any ReadoutSum)?
  private let readoutParts: ReadoutApart?
  private let headOrder: HeadOrder?
  private let coefficients: Buffer<Float>
  /// Targets of the window so far: of the streams, and of the pairs that read them.
  private var targets = WindowTargets()
  private let unroll: UnrollStart?
  /// pes: what the directions of one earlier window add.
  private let earlier: Buffer<Float>
  /// The window that runs, and that whose directions the signs hold.
  private var window = 0
  private var drawn: Int?
  private let meters: EstimateMeters
  private let instructions: Instructions
  /// Where the gradient comes in parts: what `gradient` holds, and the table's ‖ĝ‖² by panels.
  private let held: Range<Int>?
  private let squares: Buffer<Double>
  /// Of the last window's readout.
  private var readoutScale: Float = 0
  private let pool: ThreadPool

  /// - Parameters:
  ///   - pool: its threads share the tiles; results do not depend on their number.
  ///   - instructions: the widest by default; for tests and measurements.
  /// - Throws: `MemoryError`, if the ledger's budget or the system does not allow it.
  /// - Precondition: lifetime ≥ 1, ε > 0, and at least a pair for each stream. In place: directions are
  ///   rank-one, the readout is estimated, and the method is not pes.
  public init(
    _ shape: ModelShape, _ configuration: Configuration, pool: ThreadPool, instructions: Instructions = .best,
    ledger: MemoryLedger
  ) throws(MemoryError) {
    precondition(configuration.lifetime >= 1 && configuration.epsilon > 0)
    precondition(configuration.method != .persistent || !configuration.inPlace, "pes adds up in a gradient")
    self.configuration = configuration
    self.instructions = instructions
    epsilon = configuration.epsilon
    self.pool = pool
    let layout = Self.layout(for: shape, configuration)
    let inHeadOrder = Self.isInHeadOrder(layout, configuration)
    population = try Population(
      layout, pairs: configuration.pairs, streams: configuration.streams, threads: pool.threads,
      carriesStates: configuration.carriesStates, inHeadOrder: inHeadOrder, instructions: instructions,
      ledger: ledger)
    headOrder =
      inHeadOrder
      ? try HeadOrder(
        population, chunk: configuration.chunk, threads: pool.threads, instructions: instructions,
        ledger: ledger)
      : nil
    weights = try PackedWeights(layout, instructions: instructions, ledger: ledger)
    directions = try Directions(
      population, seed: configuration.seed, keepsFactors: !configuration.inPlace, instructions: instructions,
      ledger: ledger)
    if configuration.inPlace {
      zerothOrder = nil
      update = try InPlaceUpdate(
        directions, instructions: instructions, threads: pool.threads, ledger: ledger)
    } else {
      zerothOrder = try ZerothOrderGradient(
        directions, instructions: instructions, threads: pool.threads, ledger: ledger)
      update = nil
    }
    readoutParts =
      layout.readsInPlace
      ? try ReadoutApart(
        layout, pairs: configuration.pairs, chunk: configuration.chunk,
        keepsSums: !configuration.isWindowWhole, threads: pool.threads, instructions: instructions,
        ledger: ledger)
      : nil
    readout =
      configuration.exactReadout && !layout.readsInPlace
      ? try ReadoutGradient(
        layout, pairs: configuration.pairs, chunk: configuration.chunk, instructions: instructions,
        ledger: ledger)
      : readoutParts
    let rooms = Rooms(layout, configuration)
    coefficients = try rooms.coefficients.buffer(ledger)
    unroll = configuration.method.isUnrolled ? try UnrollStart(ledger: ledger) : nil
    earlier = try rooms.earlier.buffer(ledger)
    meters = try EstimateMeters(
      population, method: configuration.method, inPlace: configuration.inPlace, instructions: instructions,
      ledger: ledger)
    gradient = try rooms.gradient.buffer(ledger)
    squares = try rooms.squares.buffer(ledger)
    held = Self.givesParts(layout, configuration) ? Self.heldParameters(layout, configuration) : nil
  }

  /// The order of weights and directions in the kernels.
  public var layout: Layout { population.layout }
  public var shape: ModelShape { layout.shape }
  public var streams: Int { configuration.streams }

  // MARK: In parts

  package var heldGradient: HeldGradient? {
    held.map { HeldGradient(parameters: $0, first: UnsafePointer(gradient.pointer - $0.lowerBound)) }
  }

  package func eachPart(on pool: ThreadPool, _ body: GradientParts.Body) {
    guard held != nil else { return }
    zerothOrder?.eachTablePart(coefficients: coefficients.pointer, on: pool) { body($1, $2, $3) }
    readoutParts?.finish(scale: readoutScale, on: pool, body)
  }

  // MARK: One window

  public func take(_ parameters: Parameters) { weights.pack(parameters, on: pool) }

  /// Begins window number `window`: pairs whose directions have had their time take new ones.
  public func beginWindow(_ window: Int) {
    self.window = window
    if let unroll {
      let isNew = unroll.begin(window)
      let wanted = configuration.method == .unroll ? unroll.window : window
      if isNew || drawn != wanted { draw(window: wanted, keepsSeen: !isNew) }
    } else {
      restart(tilesWhoseLifetimeEnds(window), window: window)
    }
    population.clearLosses()
    targets = WindowTargets()
  }

  private func tilesWhoseLifetimeEnds(_ window: Int) -> Tiles {
    let lifetime = configuration.lifetime
    return window == 0
      ? Tiles(below: population.tiles)
      : Tiles(from: (lifetime - window % lifetime) % lifetime, by: lifetime, below: population.tiles)
  }

  private func restart(_ tiles: Tiles, window: Int) {
    switch configuration.method.mode {
    case .central: population.restart(tiles, on: pool)
    case .tangent: population.clearTangents(tiles)
    }
    draw(tiles, window: window)
  }

  /// Draws again the directions that were in use when window `window` ended; the states are the caller's to restore.
  /// Unrolls draw theirs when the next window begins: when theirs began is among what is carried.
  public func restore(afterWindow window: Int) {
    drawn = nil
    if unroll == nil { draw(Tiles(below: population.tiles), window: window) }
  }

  private func draw(_ tiles: Tiles, window: Int) {
    pool.run(tiles.count) { index, _ in
      directions.draw(tile: tiles[index], lifetime: (window + tiles[index]) / configuration.lifetime)
    }
  }

  /// All pairs take the directions that belong to a window.
  private func draw(window: Int, keepsSeen: Bool) {
    drawn = window
    pool.run(population.tiles) { tile, _ in
      directions.draw(tile: tile, lifetime: window, keepsSeen: keepsSeen)
    }
  }

  /// Runs the population over the next tokens of every stream.
  public func consume(_ tokens: TokenBlock) {
    tokens.require(streams: streams, vocabularySize: shape.vocabularySize)
    let count = tokens.count
    precondition(count <= configuration.chunk, "a chunk of \(count) tokens, at most \(configuration.chunk)")
    if let headOrder {
      headOrder.run(weights: weights, epsilon: epsilon, tokens: tokens, on: pool)
    } else {
      runTiles(tokens)
    }
    if targets.add(tokens, readBy: population) {
      readout?.accumulate(tokens, of: population, weights, on: pool)
    }
  }

  private func runTiles(_ tokens: TokenBlock) {
    let rows = readout?.rows(forTokens: tokens.count, on: pool)
    population.runTiles(tokens.count, on: pool) { tile, thread, piece in
      population.run(
        tile: tile, thread: thread, weights: weights, epsilon: epsilon, tokens: tokens[piece],
        readout: rows?.from(token: piece.lowerBound, of: population), mode: configuration.method.mode)
    }
  }

  /// Ends a window of `tokens` tokens: computes `gradient`.
  public func finishWindow(tokens: Int) -> WindowResult {
    let isMeasured = window % configuration.measuredEvery == 0
    return PairWindow(pairs: configuration.pairs, targets: targets, readout: readout).end(
      coefficients: coefficients.pointer, step: configuration.step,
      report: { report(ofPair: $0, targets: $1) },
      measure: {
        meters.measureStates(bound: configuration.maxDivergence, withEstimate: isMeasured, on: pool)
      },
      estimate: { scale, measured in estimate(scale, isMeasured: isMeasured, &measured) })
  }

  private func report(ofPair pair: Int, targets: Double) -> PairWindow.Report? {
    let losses = population.loss(ofPair: pair)
    guard losses.plus.isFinite, losses.minus.isFinite else {
      population.resetState(ofPair: pair)
      return nil
    }
    let method = configuration.method
    let slope = method.slope(losses, epsilon: epsilon, tokens: targets)
    return PairWindow.Report(loss: method.loss(losses), coefficient: slope / Double(configuration.pairs))
  }

  private func estimate(_ scale: StepRule.Scale, isMeasured: Bool, _ measured: inout WindowMeters) {
    let first = held?.lowerBound ?? 0
    // As if all of it were there.
    let whole = gradient.pointer - first
    zerothOrder?.compute(coefficients: coefficients.pointer, into: whole, withTable: held == nil, on: pool)
    if configuration.method == .persistent { addEarlierDirections() }
    if isMeasured {
      meters.measureEstimate(
        whole, from: first, besides: held == nil ? 0 : squareOfTable(), coefficients: coefficients.pointer,
        scale: scale.factor, on: pool, into: &measured)
    }
    readoutScale = Float(scale.factor / Double(targets.pairs))
    if held == nil { readout?.finish(scale: readoutScale, into: gradient.pointer, on: pool) }
  }

  private func squareOfTable() -> Double {
    squares.elements.update(repeating: 0)
    zerothOrder?.eachTablePart(coefficients: coefficients.pointer, on: pool) { panel, _, count, values in
      squares[panel] += instructions.sumOfSquares(values, count: count)
    }
    return squares.elements.reduce(0, +)
  }

  /// pes: what the directions of the windows since the reset add to those of this one, drawn again one window after the
  /// other. Each counts for the tokens that a pair has read since the reset: those that it read in that window are among
  /// them, which are all whose rows can have moved the loss; the others have the expectation zero.
  private func addEarlierDirections() {
    guard let unroll, let zerothOrder else { return }
    let piece = 16384
    for past in unroll.window..<max(unroll.window, window) {
      draw(window: past, keepsSeen: true)
      zerothOrder.compute(coefficients: coefficients.pointer, into: earlier.pointer, on: pool)
      let (from, to, count) = (earlier.pointer, gradient.pointer, perturbedParameters)
      pool.run((count + piece - 1) / piece) { task, _ in
        let first = task * piece
        for i in first..<min(count, first + piece) { to[i] += from[i] }
      }
    }
  }

  /// Parameters that have directions; an exact readout's, at the end, have none.
  private var perturbedParameters: Int {
    let shape = layout.shape
    return shape.parameterCount
      - (configuration.exactReadout ? shape.vocabularySize * (shape.readoutInputs + 1) : 0)
  }

  /// The coefficients of the last estimate where they lie, [pairs]; for what must not allocate.
  package var coefficientValues: UnsafePointer<Float> { UnsafePointer(coefficients.pointer) }

  /// A copy of the coefficients c_p of the last estimate Σ c_p·z_p, [pairs].
  public var lastCoefficients: [Float] { (0..<configuration.pairs).map { coefficients[$0] } }

  /// Makes an estimate again out of its coefficients, in a window that has begun and whose tokens are marked as read.
  /// - Precondition: there are as many as pairs, and the readout is estimated: an exact one is not made of
  ///   coefficients.
  public func recompute(_ given: [Float]) {
    precondition(given.count == configuration.pairs && !configuration.exactReadout)
    for pair in given.indices { coefficients[pair] = given[pair] }
    zerothOrder?.compute(coefficients: coefficients.pointer, into: gradient.pointer, on: pool)
    if configuration.method == .persistent { addEarlierDirections() }
  }

  /// In place: θ ← (1 − ηλ)·θ − η·g with the estimate g of the window that has ended.
  /// - Precondition: the configuration said `inPlace`; otherwise the weights are somebody else's.
  public func descend(rate: Float, decay: Float) {
    guard let update else { preconditionFailure("the weights are somebody else's") }
    update.descend(
      weights, coefficients: coefficients.pointer, rate: rate, keep: 1 - rate * decay, on: pool)
  }

  /// A context begins: all states are zero again.
  public func beginContext() {
    population.resetStates()
    unroll?.end()
  }

  /// The states of one stream's pairs are zero again.
  /// - Precondition: the method is not an unroll, whose pairs all begin together.
  public func beginContext(ofStream stream: Int) {
    precondition(unroll == nil, "an unroll has all of its pairs in step")
    population.resetStates(ofStream: stream)
  }

  public var carried: [CarriedState] {
    var carried = [CarriedState("population.seen", words: population.seen, of: self)]
    if population.carriesStates {
      carried.insert(CarriedState("population.states", floats: population.states, of: self), at: 0)
    }
    if let unroll { carried.append(CarriedState("unroll.start", words: unroll.words, of: self)) }
    return carried
  }
}
