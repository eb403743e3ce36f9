import LongzooMemory
import LongzooModel

/// Exact within the window, random directions beyond it.
///
/// Truncated back-propagation gives the window's exact gradient t and, for nothing more, δ = ∂L/∂s: what the window's loss L
/// owes to the state s that the window began with. What truncation leaves out is (∂s/∂θ)ᵀδ. Every pair carries ± states
/// under ±ε of its direction z for a lifetime of R windows, so (s₊ − s₋)/2ε = (∂s/∂θ)·z up to O(ε²), credit reaching back to
/// where the direction began, and
///
///     g = t + Σ_b (1/n_b) Σ_{p reads b} ⟨δ_b, (s₊ − s₋)_p/2ε⟩·z_p
///
/// has the expectation of CD-RGE over the lifetime, but only the part that crosses a window's border has its noise. The
/// pairs' columns need no readout and no losses. (Forward products ∂s/∂θ·z as in Silver et al., "Learning by directional
/// gradient descent", 2022; that they are needed at window borders only is what makes them cheap here.)
///
/// Not for data whose dependencies end within the window: pairs cost time and tell nothing there, and truncated
/// back-propagation alone learns at least as well.
public final class Hybrid: GradientEstimator, PerturbingEstimator, InterruptibleEstimator {
  /// What the hybrid is told.
  public struct Configuration: Sendable {
    /// The part within the window, whose streams and window are those of the hybrid.
    public var exact: BPTT.Configuration
    /// Pairs of columns, at least one a stream; pair p reads stream ⌊p·B/P⌋.
    public var pairs: Int
    /// ε at the beginning, more than 0.
    public var epsilon: Float
    /// What directions are made of; the readout has none.
    public var kind: DirectionKind
    /// Windows for which a direction is kept, R, at least 1: how far credit reaches.
    public var lifetime: Int
    /// β of the running mean of what lies beyond the window, in 0 ..< 1; 0: each window's estimate as it is,
    /// and in full.
    public var momentum: Float
    /// The most tokens that `consume` is given at a time.
    public var chunk: Int
    /// Directions are functions of it, the tile and the window.
    public var seed: UInt64

    public init(
      exact: BPTT.Configuration, pairs: Int, epsilon: Float, kind: DirectionKind = .rank1, lifetime: Int,
      momentum: Float, chunk: Int, seed: UInt64
    ) {
      self.exact = exact
      self.pairs = pairs
      self.epsilon = epsilon
      self.kind = kind
      self.lifetime = lifetime
      self.momentum = momentum
      self.chunk = chunk
      self.seed = seed
    }
  }

  /// What it was told.
  public let configuration: Configuration
  /// ε of the next window; at first the configuration's.
  public var epsilon: Float
  /// The part within the window; its `gradient` holds the sum of both parts once a window has ended.
  public let exact: BPTT
  package let population: Population
  private let weights: PackedWeights
  private let directions: Directions
  private let longRange: ZerothOrderGradient
  /// (s₊ − s₋)/2ε at the window's start, [T][rows][16].
  private let displacements: Buffer<Float>
  private let coefficients: Buffer<Float>
  private let beyond: Buffer<Float>
  private let mean: LongRangeMean?
  private let pool: ThreadPool

  /// The last window's exact gradient, clipped, and the unclipped estimate of what lies beyond it,
  /// [parameterCount] in the order of `ModelShape.tensors`.
  public var gradient: Buffer<Float> {
    _read { yield exact.gradient }
  }

  private static func layout(_ shape: ModelShape, _ c: Configuration) -> Layout {
    Layout(shape, kind: c.kind, exactReadout: true)
  }

  /// The bytes that an estimator reserves.
  public static func byteCount(for shape: ModelShape, _ c: Configuration, threads: Int) -> MemoryTable {
    let layout = layout(shape, c)
    var table =
      BPTT.byteCount(for: shape, c.exact, threads: threads)
      + Population.byteCount(for: layout, pairs: c.pairs, streams: c.exact.streams, threads: threads)
    table[.parameters] += PackedWeights.byteCount(for: layout)
    table[.perturbations] +=
      Directions.byteCount(for: layout, pairs: c.pairs, keepsFactors: true)
      + ZerothOrderGradient.byteCount(for: layout, pairs: c.pairs, threads: threads)
      + (c.momentum > 0 ? LongRangeMean.byteCount(for: shape) : 0)
    return table + Rooms(layout, pairs: c.pairs).table
  }

  /// The estimator's own buffers, besides those of its parts.
  private struct Rooms {
    let displacements: Room<Float>
    let coefficients: Room<Float>
    let beyond: Room<Float>
    let table: MemoryTable

    init(_ layout: Layout, pairs: Int) {
      let tiles = Population.tiles(pairs)
      var table = MemoryTable()
      displacements = table.add(
        tiles * layout.stateFloats / 2, .activations, for: "the pairs' displacements")
      coefficients = table.add(tiles * Tile.pairs, .perturbations, for: "the pairs' coefficients")
      beyond = table.add(
        layout.shape.parameterCount, .perturbations, for: "the gradient beyond the window")
      self.table = table
    }
  }

  /// - Parameters:
  ///   - pool: its threads share the work; results do not depend on their number.
  ///   - instructions: the widest by default; for tests and measurements.
  /// - Throws: `MemoryError`, if the ledger's budget or the system does not allow it.
  /// - Precondition: lifetime ≥ 1, ε > 0, at least a pair for each stream, and β in 0 ..< 1.
  public init(
    _ shape: ModelShape, _ configuration: Configuration, pool: ThreadPool, instructions: Instructions = .best,
    ledger: MemoryLedger
  ) throws(MemoryError) {
    precondition(configuration.lifetime >= 1 && configuration.epsilon > 0)
    precondition(configuration.pairs >= configuration.exact.streams, "a pair for every stream at least")
    self.configuration = configuration
    epsilon = configuration.epsilon
    self.pool = pool
    let layout = Self.layout(shape, configuration)
    exact = try BPTT(shape, configuration.exact, pool: pool, instructions: instructions, ledger: ledger)
    population = try Population(
      layout, pairs: configuration.pairs, streams: configuration.exact.streams, threads: pool.threads,
      instructions: instructions, ledger: ledger)
    weights = try PackedWeights(layout, instructions: instructions, ledger: ledger)
    directions = try Directions(
      population, seed: configuration.seed, instructions: instructions, ledger: ledger)
    longRange = try ZerothOrderGradient(
      directions, instructions: instructions, threads: pool.threads, ledger: ledger)
    let rooms = Rooms(layout, pairs: configuration.pairs)
    displacements = try rooms.displacements.buffer(ledger)
    coefficients = try rooms.coefficients.buffer(ledger)
    beyond = try rooms.beyond.buffer(ledger)
    mean =
      configuration.momentum > 0
      ? try LongRangeMean(shape, momentum: configuration.momentum, ledger: ledger) : nil
  }

  public var isGivenUp: ((Double) -> Bool)? {
    get { exact.isGivenUp }
    set { exact.isGivenUp = newValue }
  }

  // MARK: One window

  public func take(_ parameters: Parameters) {
    exact.take(parameters)
    weights.pack(parameters, on: pool)
  }

  /// Begins window number `window`: the tiles whose lifetime is over take new directions from the clean states.
  public func beginWindow(_ window: Int) {
    exact.beginWindow(window)
    pool.run(population.tiles) { tile, _ in
      if isEnding(tile, at: window) {
        for pair in population.pairs(ofTile: tile) {
          exact.eachState(ofStream: population.stream(ofPair: pair)) { stage, part, units in
            population.setState(ofPair: pair, stage: stage, part: part, units)
          }
        }
        directions.draw(tile: tile, lifetime: (window + tile) / configuration.lifetime)
      }
      population.displacements(
        ofTile: tile, epsilon: epsilon,
        into: displacements.pointer + tile * population.layout.stateFloats / 2)
    }
  }

  private func isEnding(_ tile: Int, at window: Int) -> Bool {
    window == 0 || (window + tile) % configuration.lifetime == 0
  }

  public var shape: ModelShape { exact.shape }
  public var streams: Int { exact.streams }

  public func consume(_ tokens: TokenBlock) {
    exact.consume(tokens)
    population.runTiles(tokens.count, on: pool) { tile, thread, piece in
      population.run(
        tile: tile, thread: thread, weights: weights, epsilon: epsilon, tokens: tokens[piece], readout: nil,
        withReadout: false)
    }
  }

  /// Ends a window of `tokens` tokens: the exact gradient, and what lies beyond added to it.
  /// - Returns: what the exact part says; its norm is that of the exact gradient alone.
  public func finishWindow(tokens: Int) -> BPTT.WindowResult {
    let result = exact.finishWindow(tokens: tokens)
    guard result.hasGradient else { return result }
    if let mean {
      for half in 0..<2 {
        estimateBeyond(half: half)
        mean.add(beyond.pointer, half: half, on: pool)
      }
      mean.add(to: exact.gradient.pointer, on: pool)
    } else {
      estimateBeyond(half: nil)
      addBeyond()
    }
    return result
  }

  /// The window's estimate of what truncation leaves out, from all pairs or from every second one.
  private func estimateBeyond(half: Int?) {
    PairWindow.gather(configuration.pairs, into: coefficients.pointer) { pair in
      guard let half else { return slope(ofPair: pair) }
      return pair % 2 == half ? 2 * slope(ofPair: pair) : 0
    }
    longRange.compute(coefficients: coefficients.pointer, into: beyond.pointer, on: pool)
  }

  private func addBeyond() {
    let count = population.layout.shape.slice(.readout).offset
    let piece = 16384
    pool.run((count + piece - 1) / piece) { index, _ in
      for i in index * piece..<min(count, (index + 1) * piece) { exact.gradient[i] += beyond[i] }
    }
  }

  /// ⟨δ, (s₊ − s₋)/2ε⟩ / n of a pair's stream.
  private func slope(ofPair pair: Int) -> Float {
    let stream = population.stream(ofPair: pair)
    let layout = population.layout
    let tile = pair / Tile.pairs
    var sum = 0.0
    var row = displacements.pointer + tile * layout.stateFloats / 2 + pair % Tile.pairs
    for index in 0..<layout.shape.stageCount {
      let stage = layout.stage(index).pointee
      guard layout.shape.stage(index).cell.carriesState else {
        row += stage.states * stage.padded * Tile.pairs
        continue
      }
      for part in 0..<layout.shape.stage(index).parts {
        let adjoint = exact.stateAdjoint(stage: index, part: part, stream: stream)
        for unit in 0..<layout.shape.stage(index).units(ofPart: part) {
          sum += Double(adjoint[unit] * row[unit * Tile.pairs])
        }
        row += (part < stage.states ? stage.padded : stage.memory) * Tile.pairs
      }
    }
    return Float(sum / Double(population.pairs(ofStream: stream).count))
  }

  public func beginContext() {
    exact.beginContext()
    population.resetStates()
  }

  public func beginContext(ofStream stream: Int) {
    exact.beginContext(ofStream: stream)
    population.resetStates(ofStream: stream)
  }

  /// The bytes of `carried`.
  public static func carriedBytes(for shape: ModelShape, _ c: Configuration) -> Int {
    let tiles = Population.tiles(c.pairs)
    let floats =
      tiles * layout(shape, c).stateFloats + (c.momentum > 0 ? LongRangeMean.carriedFloats(shape) : 0)
    return BPTT.carriedBytes(for: shape, c.exact) + floats * MemoryLayout<Float>.stride
      + tiles * shape.vocabularySize * MemoryLayout<UInt16>.stride
  }

  public var carried: [CarriedState] {
    exact.carried + [
      CarriedState("population.states", floats: population.states, of: self),
      CarriedState("population.seen", words: population.seen, of: self),
    ] + (mean?.carried ?? [])
  }

  public func restore(afterWindow window: Int) {
    pool.run(population.tiles) { tile, _ in
      directions.draw(tile: tile, lifetime: (window + tile) / configuration.lifetime)
    }
  }
}
