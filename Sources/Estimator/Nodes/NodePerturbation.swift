import LongzooMemory
import LongzooModel

/// Node perturbation: central differences along random directions of the gates' inputs, not of the weights.
///
/// Every pair runs with a_t ± ε·z_t in place of the gates' inputs a_t (4·H of every layer), with new signs z_t at every token. With l_s the
/// loss of token s, and γ what a token's credit is worth one token later, ∂L/∂a_t is estimated by what comes behind it,
///
///     d_t = [Σ_{s ≥ t} γ^(s − t) (l_s⁺ − l_s⁻)]/2ε · z_t,
///
/// and the weights' gradient is made of it as back-propagation does: Σ_t d_t·h_(t−1)ᵀ for a kernel, with the mean h of the pair, Σ_t d_t
/// for a bias, and the sum over its tokens for a row of the table. With γ = 1 it is, in expectation, the gradient of the mean loss
/// truncated to the window, smoothed by the noise; γ < 1 trades bias for variance. Directions are drawn in 4·H·K dimensions and not in as many as
/// there are weights: less noise as long as windows of K tokens are short. (Williams, 1992; Werfel, Xie and Seung, "Learning curves for stochastic
/// gradient descent in linear feedforward networks", 2005.)
///
/// The readout's gradient is exact, or an estimate of the same kind: every column's logits x are moved by ±ε of signs z of their own, and
/// [l(x + εz) − l(x − εz)]/2ε · z is in the place of ∂l/∂x = p − y. A gate's losses are those of logits that are not moved: what is
/// tried at the logits does not add to its noise.
///
/// Memory grows with the window, and not with the context.
public final class NodePerturbation: GradientEstimator, PerturbingEstimator {
  /// What `CDRGE` says of a window.
  public typealias WindowResult = CDRGE.WindowResult

  /// A window is shorter than so many tokens.
  static let windowLimit = 1 << 16

  /// What it was told.
  public let configuration: Configuration
  /// ε of the next window; at first the configuration's.
  public var epsilon: Float
  package let population: Population
  /// The estimate of the last window, [parameterCount] in the order of `ModelShape.tensors`.
  public let gradient: Buffer<Float>
  /// The weights as the kernels read them; none of them is moved.
  public let weights: PackedWeights
  private let layout: Layout
  private let instructions: Instructions
  private let readout: ReadoutGradient
  /// The pairs' mean h, and d_t in the place of ∂gates; tile by tile, so that a tile's samples lie together: [L][T][K + 1][16][U] and
  /// [L][T][K][16][4U].
  private let tape: Tape
  private let weightGradient: WeightGradient
  private let coefficients: Buffer<Float>  // [K][P padded]
  private let inputs: Buffer<UInt32>  // [T][K][16] the tokens that were read
  private let tileSums: Buffer<Float>  // [threads][WeightGradient.tileFloats]
  private let divergence: StateDivergence
  private let pool: ThreadPool
  private var targets = WindowTargets()
  private var window = 0
  private var consumed = 0

  /// - Parameters:
  ///   - pool: its threads share the tiles; results do not depend on their number.
  ///   - instructions: the widest by default; for tests and measurements.
  /// - Throws: `MemoryError`, if the ledger's budget or the system does not allow it.
  /// - Precondition: ε > 0, at least a pair for each stream, and a window from 1 to 2¹⁶ − 1 tokens.
  public init(
    _ shape: ModelShape, _ configuration: Configuration, pool: ThreadPool, instructions: Instructions = .best,
    ledger: MemoryLedger
  ) throws(MemoryError) {
    precondition(configuration.epsilon > 0 && (1..<Self.windowLimit).contains(configuration.window))
    self.configuration = configuration
    epsilon = configuration.epsilon
    self.pool = pool
    self.instructions = instructions
    let c = configuration
    layout = Self.layout(shape, c)
    population = try Population(
      layout, pairs: c.pairs, streams: c.streams, threads: pool.threads, tokenSets: c.window,
      instructions: instructions, ledger: ledger)
    weights = try PackedWeights(layout, instructions: instructions, ledger: ledger)
    readout = try ReadoutGradient(
      layout, pairs: c.pairs, chunk: c.chunk, instructions: instructions, ledger: ledger)
    let plan = Self.plan(shape, c)
    tape = try Tape(plan, keepsCells: false, ledger: ledger)
    weightGradient = WeightGradient(plan, instructions: instructions)
    let rooms = Rooms(shape, c, threads: pool.threads)
    coefficients = try rooms.coefficients.buffer(ledger)
    inputs = try rooms.inputs.buffer(ledger)
    tileSums = try rooms.tileSums.buffer(ledger)
    divergence = try StateDivergence(population, ledger: ledger)
    gradient = try rooms.gradient.buffer(ledger)
  }

  /// Pairs with their padding.
  private var lanes: Int { population.tiles * Tile.pairs }

  private var means: NodeMeans {
    let token = Tile.pairs * tape.plan.topUnits
    let tile = (configuration.window + 1) * token
    return NodeMeans(
      at: tape.h(0), layerStride: population.tiles * tile, tileStride: tile, tokenStride: token,
      row: tape.plan.topUnits)
  }

  /// A tile's tokens of the window.
  private func samples(ofTile tile: Int, tokens: Int) -> GradientSamples {
    let window = configuration.window
    let before = tile * (window + 1) * Tile.pairs
    return GradientSamples(
      count: tokens * Tile.pairs, rows: tape.rows(0), apart: tape.rows(0), h: tape.h(0), places: tape.places,
      first: tile * window * Tile.pairs, before: before, after: before + Tile.pairs,
      tokens: inputs.pointer + tile * window * Tile.pairs)
  }

  // MARK: One window

  public func take(_ parameters: Parameters) { weights.pack(parameters, on: pool) }

  /// All pairs start again from the clean states of their streams, with new signs.
  public func beginWindow(_ window: Int) {
    self.window = window
    population.restart(Tiles(below: population.tiles), on: pool)
    population.clearLosses()
    targets = WindowTargets()
    consumed = 0
  }

  public var shape: ModelShape { layout.shape }
  public var streams: Int { configuration.streams }

  public func consume(_ tokens: TokenBlock) {
    tokens.require(streams: streams, vocabularySize: shape.vocabularySize)
    let count = tokens.count
    precondition(count <= configuration.chunk && consumed + count <= configuration.window)
    let (first, means, rows) = (consumed, means, readout.rows)
    pool.run(population.tiles) { tile, _ in
      for token in first..<first + count { draw(tile: tile, token: token) }
      note(tokens, tile: tile)
    }
    population.runTiles(count, on: pool) { tile, thread, piece in
      population.runNodes(
        tile: tile, thread: thread, weights: weights, epsilon: epsilon,
        tokens: tokens[piece], from: first + piece.lowerBound,
        readout: rows.from(token: piece.lowerBound, of: population), means: means)
    }
    consumed += count
    if targets.add(tokens, readBy: population) {
      readout.accumulate(tokens: count, on: pool)
    }
  }

  private func draw(tile: Int, token: Int) {
    let bits = Philox(
      seed: configuration.seed, domain: .nodes, tensor: token, tile: tile, epoch: window >> 32)
    instructions.drawSigns(
      bits, high: UInt32(truncatingIfNeeded: window), count: layout.signsPerTile,
      into: population.signs(tile: tile, token: token))
  }

  /// Keeps what a tile's pairs read, whose rows of the table their credit goes to.
  private func note(_ tokens: TokenBlock, tile: Int) {
    for pair in tile * Tile.pairs..<(tile + 1) * Tile.pairs {
      let from = tokens.row(population.stream(ofPair: pair))
      let to = inputs.pointer + (tile * configuration.window + consumed) * Tile.pairs + pair % Tile.pairs
      for token in 0..<tokens.count { to[token * Tile.pairs] = from[token] & TokenMark.id }
    }
  }

  public func finishWindow(tokens: Int) -> WindowResult {
    PairWindow(pairs: configuration.pairs, targets: targets, readout: readout).end(
      coefficients: nil,
      report: { pair, _ in report(ofPair: pair, tokens: tokens) },
      lossOfTarget: { $0 / Double($1.targets.pairs) * Double($1.pairs) },
      measure: {
        var meters = WindowMeters()
        meters.pairs = configuration.pairs
        return meters
      },
      estimate: { _, meters in
        sumGradient(tokens: tokens)
        readout.finish(scale: Float(1 / Double(targets.pairs)), into: gradient.pointer, on: pool)
        if window % configuration.measuredEvery == 0 { measure(&meters) }
      })
  }

  private func report(ofPair pair: Int, tokens: Int) -> PairWindow.Report? {
    let loss = credit(pair, tokens: tokens)
    guard loss.isFinite else {
      population.resetState(ofPair: pair)
      return nil
    }
    return PairWindow.Report(loss: loss)
  }

  /// Writes a pair's coefficients [Σ_{s ≥ t} γ^(s − t) (l_s⁺ − l_s⁻)]/2ε, in parts of the window's targets.
  /// - Returns: the sum of its losses, both columns' mean.
  private func credit(_ pair: Int, tokens: Int) -> Double {
    let scale = 1 / (2 * Double(epsilon) * Double(targets.pairs))
    let decay = Double(configuration.creditDecay)
    var (loss, credit) = (0.0, 0.0)
    for token in (0..<tokens).reversed() {
      let (plus, minus) = population.loss(ofPair: pair, token: token)
      loss += 0.5 * (plus + minus)
      credit = decay * credit + (plus - minus)
      coefficients[token * lanes + pair] = Float(credit * scale)
    }
    return loss
  }

  /// Σ d_t·h_(t−1)ᵀ and its like: a tile's sums over all tokens, then those of the tiles in their order. Machines that share the pairs have
  /// to exchange their tiles' sums.
  private func sumGradient(tokens: Int) {
    let tiles = population.tiles
    pool.run(tokens * tiles) { task, _ in expand(tile: task % tiles, token: task / tiles) }
    let piece = 16384
    let count = layout.shape.slice(.readout).offset
    pool.run((count + piece - 1) / piece) { task, _ in
      gradient.elements[task * piece..<min(count, (task + 1) * piece)].update(repeating: 0)
    }
    pool.run(weightGradient.jobCount) { job, thread in
      let room = tileSums.pointer + thread * WeightGradient.tileFloats(layout.shape)
      weightGradient.run(job, tiles: tiles, room: room, into: gradient.pointer) {
        samples(ofTile: $0, tokens: tokens)
      }
    }
  }

  /// d_t of a tile's pairs, where the tape has ∂gates.
  private func expand(tile: Int, token: Int) {
    let words = population.signs(tile: tile, token: token)
    let sample = (tile * configuration.window + token) * Tile.pairs
    for stage in 0..<layout.shape.stageCount {
      let stride = tape.plan.rowUnits(ofStage: stage)
      let to = tape.rows(stage) + sample * stride
      for head in layout.heads(of: .bias(stage)) {
        let gates = layout.gates(ofHead: head, stage: stage)
        instructions.expandNodes(
          words + layout.signs(.bias(stage)).rows + gates.packed, count: gates.rows.count,
          coefficients: coefficients.pointer + token * lanes + tile * Tile.pairs,
          into: to + gates.rows.lowerBound,
          stride: stride)
      }
    }
  }

  private func measure(_ meters: inout WindowMeters) {
    pool.run(population.tiles) { tile, _ in divergence.measure(tile: tile) }
    meters.divergence = divergence.ratio
    meters.estimateSquare = instructions.sumOfSquares(
      gradient.pointer,
      count: configuration.exactReadout ? layout.shape.slice(.readout).offset : gradient.count)
  }

  // MARK: Between windows

  /// Signs are drawn as they are used.
  public func restore(afterWindow window: Int) {}

  public func beginContext() { population.resetStates() }

  public func beginContext(ofStream stream: Int) { population.resetStates(ofStream: stream) }

  public var carried: [CarriedState] {
    [CarriedState("population.states", floats: population.states, of: self)]
  }
}
