import LongzooMemory
import LongzooModel

/// Forward-difference random gradient estimation: g = (1/P) Σ_p [(L_p − L₀)/ε]·z_p, with L_p the loss under θ + εz_p and L₀ that of
/// the unperturbed model; windows, carried states, lifetimes and streams as in `CDRGE`.
///
/// Where all directions read one stream they share one unperturbed column: n directions cost n + 1 columns, half of what
/// central differences take, for a bias of order ε and not ε². Directions on streams of their own each need L₀ of their
/// stream, and cost two columns as central differences do: take `CDRGE` there, which has the smaller bias.
/// With `StepRule.normalized` it is FZOO (arXiv 2506.09034), but for the mean of the slopes, which is taken as 0.
public final class FDRGE: GradientEstimator, PerturbingEstimator {
  /// What `CDRGE` is told, but for `method`, `maxDivergence`, `measuredEvery` and `carriesStates`, which are
  /// not read.
  public typealias Configuration = CDRGE.Configuration
  /// What `CDRGE` says of a window; the loss is the unperturbed model's.
  public typealias WindowResult = CDRGE.WindowResult

  /// What it was told.
  public let configuration: Configuration
  /// ε of the next window; at first the configuration's.
  public var epsilon: Float
  package let population: Population
  /// The estimate of the last window, [parameterCount] in the order of `ModelShape.tensors`.
  public let gradient: Buffer<Float>
  /// The unmoved weights as the kernels read them.
  public let weights: PackedWeights
  private let states: ForwardStates
  private let directions: Directions
  private let zerothOrder: ZerothOrderGradient
  private let readout: ReadoutGradient?
  private let coefficients: Buffer<Float>
  private let meters: EstimateMeters
  private let pool: ThreadPool
  /// The one unperturbed column's loss of the window so far, a sum in nats.
  private var baseLoss = 0.0
  /// Targets of the window so far: of the streams, and of the pairs that read them.
  private var targets = WindowTargets()

  /// Columns that process a token of every stream: one for all, or one a direction, stands for the
  /// unperturbed model.
  public static func columns(pairs: Int, streams: Int) -> Int { streams == 1 ? pairs + 1 : 2 * pairs }

  /// All packed: its one unperturbed column reads along.
  private static func layout(for shape: ModelShape, _ c: Configuration) -> Layout {
    Layout(shape, kind: c.kind, exactReadout: c.exactReadout)
  }

  /// Pairs for which the exact readout has rows.
  private static func rowPairs(_ c: Configuration) -> Int {
    Population.forwardTiles(pairs: c.pairs, ForwardStates.beside(streams: c.streams, pairs: c.pairs))
      * Tile.pairs
  }

  /// The bytes that an estimator reserves.
  public static func byteCount(for shape: ModelShape, _ c: Configuration, threads: Int) -> MemoryTable {
    let layout = layout(for: shape, c)
    var table = Population.byteCount(
      for: layout, pairs: c.pairs, streams: c.streams, threads: threads, carriesStates: false)
    table[.parameters] = PackedWeights.byteCount(for: layout)
    table[.activations] +=
      ForwardStates.byteCount(for: layout, pairs: c.pairs, streams: c.streams)
      + ReadoutGradient.byteCount(for: layout, pairs: rowPairs(c), chunk: c.chunk)
    table[.perturbations] +=
      Directions.byteCount(for: layout, pairs: c.pairs, keepsFactors: true)
      + ZerothOrderGradient.byteCount(for: layout, pairs: c.pairs, threads: threads)
    return table + Rooms(shape, c).table
      + EstimateMeters.byteCount(
        for: layout, pairs: c.pairs, carriesStates: false, method: .central, inPlace: false)
  }

  /// The estimator's own buffers, besides those of its parts.
  private struct Rooms {
    let coefficients: Room<Float>
    let gradient: Room<Float>
    let table: MemoryTable

    init(_ shape: ModelShape, _ c: Configuration) {
      var table = MemoryTable()
      coefficients = table.add(
        Population.tiles(c.pairs) * Tile.pairs, .perturbations, for: "the pairs' coefficients")
      gradient = table.add(shape.parameterCount, .perturbations, for: "the gradient estimate")
      self.table = table
    }
  }

  /// The bytes of `carried`.
  public static func carriedBytes(for shape: ModelShape, _ c: Configuration) -> Int {
    let layout = layout(for: shape, c)
    return ForwardStates.floats(for: layout, pairs: c.pairs, streams: c.streams) * MemoryLayout<Float>.stride
      + Population.tiles(c.pairs) * shape.vocabularySize * MemoryLayout<UInt16>.stride
  }

  /// - Parameters:
  ///   - pool: its threads share the tiles; results do not depend on their number.
  ///   - instructions: the widest by default; for tests and measurements.
  /// - Throws: `MemoryError`, if the ledger's budget or the system does not allow it.
  /// - Precondition: lifetime ≥ 1, ε > 0, at least a direction for each stream, no normal entries, and not
  ///   in place.
  public init(
    _ shape: ModelShape, _ configuration: Configuration, pool: ThreadPool, instructions: Instructions = .best,
    ledger: MemoryLedger
  ) throws(MemoryError) {
    precondition(configuration.kind != .gaussian, "a tile's scratch has room for one set of normal entries")
    precondition(configuration.lifetime >= 1 && configuration.epsilon > 0 && !configuration.inPlace)
    self.configuration = configuration
    epsilon = configuration.epsilon
    self.pool = pool
    let (c, layout) = (configuration, Self.layout(for: shape, configuration))
    // The population lends its signs, its losses and its kernels; the states are ours.
    population = try Population(
      layout, pairs: c.pairs, streams: c.streams, threads: pool.threads, carriesStates: false,
      instructions: instructions, ledger: ledger)
    weights = try PackedWeights(layout, instructions: instructions, ledger: ledger)
    states = try ForwardStates(
      weights, layout: layout, pairs: c.pairs, streams: c.streams, instructions: instructions, ledger: ledger)
    directions = try Directions(population, seed: c.seed, instructions: instructions, ledger: ledger)
    zerothOrder = try ZerothOrderGradient(
      directions, instructions: instructions, threads: pool.threads, ledger: ledger)
    readout =
      c.exactReadout
      ? try ReadoutGradient(
        layout, pairs: Self.rowPairs(c), chunk: c.chunk, instructions: instructions, ledger: ledger) : nil
    let rooms = Rooms(shape, c)
    coefficients = try rooms.coefficients.buffer(ledger)
    meters = try EstimateMeters(
      population, method: .central, inPlace: false, instructions: instructions, ledger: ledger)
    gradient = try rooms.gradient.buffer(ledger)
  }

  // MARK: One window

  public func take(_ parameters: Parameters) { weights.pack(parameters, on: pool) }

  public func beginWindow(_ window: Int) {
    for tile in 0..<population.tiles where window == 0 || (window + tile) % configuration.lifetime == 0 {
      states.restart(signTile: tile)
      draw(tile: tile, window: window)
    }
    population.clearLosses()
    baseLoss = 0
    targets = WindowTargets()
  }

  public func restore(afterWindow window: Int) {
    for tile in 0..<population.tiles { draw(tile: tile, window: window) }
  }

  private func draw(tile: Int, window: Int) {
    directions.draw(tile: tile, lifetime: (window + tile) / configuration.lifetime)
  }

  public var shape: ModelShape { population.layout.shape }
  public var streams: Int { configuration.streams }

  public func consume(_ tokens: TokenBlock) {
    tokens.require(streams: streams, vocabularySize: shape.vocabularySize)
    let count = tokens.count
    precondition(count <= configuration.chunk, "a chunk of \(count) tokens, at most \(configuration.chunk)")
    let rows = readout?.rows
    // The single column comes first: it takes longest.
    let single = states.base == nil ? 0 : 1
    pool.run(states.tiles + single) { task, thread in
      guard task >= single else {
        baseLoss += states.base!.run(tokens)
        return
      }
      population.runForward(
        tile: task - single, beside: states.beside, state: states.state(ofTile: task - single),
        thread: thread,
        weights: weights, epsilon: epsilon, tokens: tokens, readout: rows)
    }
    if targets.add(tokens, readBy: population) {
      readout?.accumulate(tokens, of: population, weights, on: pool)
    }
  }

  /// The losses of a pair over the window so far, sums in nats: of its direction, and of the unperturbed
  /// model.
  public func loss(ofPair pair: Int) -> (moved: Double, base: Double) {
    let column = states.column(ofPair: pair)
    let losses = population.losses.pointer + column.tile * Tile.columns + column.lane
    return (losses[0], states.base == nil ? losses[Tile.pairs] : baseLoss)
  }

  public func finishWindow(tokens: Int) -> WindowResult {
    PairWindow(pairs: configuration.pairs, targets: targets, readout: readout).end(
      coefficients: coefficients.pointer, step: configuration.step,
      report: { report(ofPair: $0, targets: $1) },
      measure: {
        if !baseLoss.isFinite { states.base?.reset() }
        return meters.measureStates(bound: 0, withEstimate: true, on: pool)
      },
      estimate: { scale, measured in estimate(scale, &measured) })
  }

  private func report(ofPair pair: Int, targets: Double) -> PairWindow.Report? {
    let (moved, base) = loss(ofPair: pair)
    guard moved.isFinite, base.isFinite else {
      states.reset(pair: pair)
      return nil
    }
    let divisor = Double(epsilon) * targets * Double(configuration.pairs)
    return PairWindow.Report(loss: base, coefficient: (moved - base) / divisor)
  }

  private func estimate(_ scale: StepRule.Scale, _ measured: inout WindowMeters) {
    zerothOrder.compute(coefficients: coefficients.pointer, into: gradient.pointer, on: pool)
    meters.measureEstimate(
      gradient.pointer, coefficients: coefficients.pointer, scale: scale.factor, on: pool, into: &measured)
    readout?.finish(scale: Float(scale.factor / Double(readoutRows)), into: gradient.pointer, on: pool)
  }

  /// Rows that the window's targets have left.
  private var readoutRows: Int {
    guard states.base != nil else { return targets.pairs }
    let lanes = (0..<states.tiles).reduce(0) {
      $0 + Population.forwardRows(tile: $1, pairs: configuration.pairs, states.beside)
    }
    return targets.streams * lanes
  }

  public func beginContext() { states.reset() }

  /// The states of one stream's directions are zero again.
  public func beginContext(ofStream stream: Int) {
    guard states.base == nil else { return states.reset() }
    for pair in population.pairs(ofStream: stream) { states.reset(pair: pair) }
  }

  public var carried: [CarriedState] {
    var carried = [
      CarriedState("forward.states", floats: states.states, of: self),
      CarriedState("population.seen", words: population.seen, of: self),
    ]
    if let base = states.base { carried.append(CarriedState("forward.base", floats: base.state, of: self)) }
    return carried
  }
}
