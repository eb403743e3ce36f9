import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

/// Sums over pairs are sums over tiles of what each tile's pairs and tokens add up to: tiles may be summed apart, on several machines.
@Suite("Sums over tiles")
struct TileSumTests {
  /// Of several panels and heads, and vocabularies and units that fill no block.
  static let shapes = [
    ModelShape(vocabularySize: 13, hiddenSize: 6, layers: 2, heads: 2),
    ModelShape(vocabularySize: 130, hiddenSize: 20, layers: 2),
  ]

  /// Σ of what tiles computed apart, in their order.
  private func added(_ parts: [[Float]]) -> [Float] {
    var sum = [Float](repeating: 0, count: parts[0].count)
    for part in parts { for i in part.indices { sum[i] += part[i] } }
    return sum
  }

  /// Zeros of both signs are the same number.
  private func bits(_ values: some Sequence<Float>) -> [UInt32] { values.map { ($0 + 0).bitPattern } }

  // MARK: The estimate

  static let kinds: [DirectionKind] = [.rank1, .products(3), .products(11), .rademacher, .gaussian]

  /// An estimate from the coefficients of one tile's pairs, zeros for all others, is what this tile adds.
  @Test("Σ c·z is the sum of the tiles' sums", arguments: kinds, [5, 40, 100])
  func estimate(_ kind: DirectionKind, pairs: Int) throws {
    for (shape, threads) in zip(Self.shapes, [1, 2]) {
      let c = CDRGE.Configuration(
        pairs: pairs, epsilon: 0.05, kind: kind, exactReadout: false, streams: 3, chunk: 8, seed: 4)
      let under = try EstimatorUnderTest(shape, c, threads: threads, seed: 8)
      under.window(0, chunks: [5, 3])
      var random = ModelRandom(3)
      let coefficients = (0..<pairs).map { _ in Float(random.unit()) }
      let parts = (0..<Population.tiles(pairs)).map { tile in
        under.estimator.recompute(coefficients.indices.map { $0 / 16 == tile ? coefficients[$0] : 0 })
        return under.estimator.gradient.array
      }
      under.estimator.recompute(coefficients)
      expectSame(bits(under.estimator.gradient.array), bits(added(parts)), "\(kind), \(pairs) pairs")
    }
  }

  // MARK: The exact readout

  /// Two tiles, three and a half, as many as there are groups.
  @Test("The exact readout's gradient is the sum of its tiles' sums", arguments: [32, 56, 128], [1, 2])
  func readout(pairs: Int, threads: Int) throws {
    for shape in Self.shapes {
      let layout = Layout(shape, kind: .rank1, exactReadout: true)
      let tiles = Population.tiles(pairs)
      let rows = RandomRows(layout, tokens: 7, tiles: tiles)
      let parts = try (0..<tiles).map { tile in
        try sum(layout, rows, tiles: tile..<tile + 1, chunks: [4, 3], threads: threads)
      }
      for chunks in [[7], [1, 6], [3, 3, 1]] {
        let whole = try sum(layout, rows, tiles: 0..<tiles, chunks: chunks, threads: threads)
        expectSame(bits(whole), bits(added(parts)), "\(pairs) pairs, \(chunks)")
      }
    }
  }

  /// More tiles than groups: a group is one chain over its tokens and tiles, and the groups are added up.
  @Test("The exact readout's gradient is the sum of its groups' sums", arguments: [9, 16, 21])
  func groups(tiles: Int) throws {
    let layout = Layout(Self.shapes[1], kind: .rank1, exactReadout: true)
    let groups = ReadoutGradient.groups(for: layout, tiles: tiles)
    #expect(groups == 8)
    let rows = RandomRows(layout, tokens: 7, tiles: tiles)
    let whole = try sum(layout, rows, tiles: 0..<tiles, chunks: [4, 3])
    let weights = layout.shape.slice(.readout)
    var expected = [Float](repeating: 0, count: weights.count)
    for group in 0..<groups {
      let part = try sumOfGroup(layout, rows, tiles * group / groups..<tiles * (group + 1) / groups)
      for i in expected.indices {
        expected[i] += part[i / weights.columns * layout.paddedInputs + i % weights.columns]
      }
    }
    expectSame(bits(whole[weights.offset..<weights.offset + weights.count]), bits(expected))
  }

  @Test("Sums of large readouts are fewer")
  func groupCount() {
    func groups(_ vocabulary: Int, _ hidden: Int, tiles: Int) -> Int {
      let shape = ModelShape(vocabularySize: vocabulary, hiddenSize: hidden)
      return ReadoutGradient.groups(for: Layout(shape, kind: .rank1, exactReadout: true), tiles: tiles)
    }
    #expect([1, 3, 8, 16, 1000].map { groups(256, 64, tiles: $0) } == [1, 3, 8, 8, 8])
    #expect(groups(256, 2048, tiles: 16) == 4)
    #expect([1, 2, 16].map { groups(50_000, 512, tiles: $0) } == [1, 2, 2])
  }

  /// p − y and h of tokens and tiles, [tokens][tiles][...].
  private struct RandomRows {
    let tiles: Int
    var delta: [Float]
    var input: [Float]

    init(_ layout: Layout, tokens: Int, tiles: Int) {
      var random = ModelRandom(5)
      self.tiles = tiles
      delta = (0..<tokens * tiles * layout.deltaTile).map { _ in Float(random.unit()) }
      input = (0..<tokens * tiles * layout.inputTile).map { _ in Float(random.unit()) }
    }
  }

  /// The gradient from some of the tiles, in an object of their own.
  private func sum(
    _ layout: Layout, _ rows: RandomRows, tiles: Range<Int>, chunks: [Int], threads: Int = 1
  ) throws -> [Float] {
    let pool = try ThreadPool(threads: threads)
    let readout = try ReadoutGradient(
      layout, pairs: 16 * tiles.count, chunk: chunks.max()!, instructions: .best, ledger: MemoryLedger())
    var first = 0
    for count in chunks {
      for token in 0..<count {
        copy(
          rows.delta, layout.deltaTile, first + token, tiles, of: rows.tiles, to: readout.rows.delta, token)
        copy(
          rows.input, layout.inputTile, first + token, tiles, of: rows.tiles, to: readout.rows.input, token)
      }
      readout.accumulate(tokens: count, on: pool)
      first += count
    }
    var gradient = [Float](repeating: 0, count: layout.shape.parameterCount)
    gradient.withUnsafeMutableBufferPointer { readout.finish(scale: 1, into: $0.baseAddress!, on: pool) }
    return gradient
  }

  private func copy(
    _ from: [Float], _ size: Int, _ token: Int, _ tiles: Range<Int>, of all: Int,
    to: UnsafeMutablePointer<Float>, _ place: Int
  ) {
    for (index, tile) in tiles.enumerated() {
      let at = to + (place * tiles.count + index) * size
      for i in 0..<size { at[i] = from[(token * all + tile) * size + i] }
    }
  }

  /// One chain over the tokens and tiles of a group, [V padded][H padded].
  private func sumOfGroup(_ layout: Layout, _ rows: RandomRows, _ tiles: Range<Int>) throws -> [Float] {
    let ledger = MemoryLedger()
    func buffer(_ count: Int, _ values: [Float] = []) throws -> Buffer<Float> {
      let buffer = try Buffer<Float>(count: count, .activations, for: "a group", ledger: ledger)
      for (i, value) in values.enumerated() { buffer[i] = value }
      return buffer
    }
    let delta = try buffer(rows.delta.count, rows.delta)
    let input = try buffer(rows.input.count, rows.input)
    let sum = try buffer(layout.paddedVocabulary * layout.paddedInputs)
    let bias = try buffer(layout.paddedVocabulary * Tile.pairs)
    Instructions.best.readoutGradient(
      layout, ReadoutRows(delta: delta.pointer, input: input.pointer), tokens: 7, tiles: tiles,
      of: rows.tiles, blocks: 0..<layout.paddedVocabulary / Tile.blockRows, fresh: true, sum: sum.pointer,
      bias: bias.pointer)
    return sum.array
  }

  // MARK: Whole populations

  /// A population whose tiles read streams of their own, and for each tile one that has its signs and reads its stream. Numbers of
  /// tiles and tokens are powers of two: then dividing by them changes no bit.
  @Test(
    "A population's readout and loss are those of its tiles", arguments: [2, 4, 8],
    [PopulationMethod.central, .tangent])
  func populations(tiles: Int, method: PopulationMethod) throws {
    let shape = Self.shapes[0]
    func make(tiles: Int, chunk: Int, threads: Int = 1) throws -> EstimatorUnderTest {
      var c = CDRGE.Configuration(
        pairs: 16 * tiles, epsilon: 0.05, exactReadout: true, lifetime: 2, streams: tiles, chunk: chunk,
        seed: 4)
      c.method = method
      return try EstimatorUnderTest(shape, c, threads: threads, seed: 8)
    }
    let whole = try make(tiles: tiles, chunk: 8, threads: 2)
    let parts = try (0..<tiles).map { tile in
      let part = try make(tiles: 1, chunk: 5)
      part.streams = [whole.streams[tile]]
      return part
    }
    let words = whole.estimator.layout.signsPerTile
    for window in 0..<3 {
      whole.estimator.beginWindow(window)
      for (tile, part) in parts.enumerated() {
        // Tiles take new directions in turn, and only the first of a population in the same windows as one that is alone.
        part.estimator.beginWindow(window)
        let from = whole.estimator.population.signs.pointer + tile * words
        for i in 0..<words { part.estimator.population.signs[i] = from[i] }
        let states = whole.estimator.population.stateRows * Tile.columns
        for i in 0..<states {
          part.estimator.population.states[i] = whole.estimator.population.states[tile * states + i]
        }
        let seen = shape.vocabularySize
        for i in 0..<seen {
          part.estimator.population.seen[i] = whole.estimator.population.seen[tile * seen + i]
        }
        part.consume(from: 8 * window, chunks: [5, 3])
      }
      whole.consume(from: 8 * window, chunks: window == 1 ? [3, 5] : [8])
      let result = whole.estimator.finishWindow(tokens: 8)
      let results = parts.map { $0.estimator.finishWindow(tokens: 8) }
      #expect(result.loss == results.reduce(0) { $0 + $1.loss } / Double(tiles))
      let readout = shape.slice(.readout).offset..<shape.parameterCount
      let sum = added(parts.map { Array($0.estimator.gradient.array[readout]) }).map { $0 / Float(tiles) }
      expectSame(bits(whole.estimator.gradient.array[readout]), bits(sum), "window \(window)")
    }
  }

  // MARK: Node perturbation

  @Test("Node perturbation's gradient is the sum of its tiles' sums", arguments: [1, 2, 5])
  func nodes(tiles: Int) throws {
    for shape in Self.shapes {
      let (window, tokens) = (9, 7)
      let plan = BPTTPlan.resolve(shape, BPTT.Configuration(streams: 16 * tiles, window: window))
      let weightGradient = WeightGradient(plan, instructions: .best)
      let samples = try RandomSamples(plan, tiles: tiles, window: window)
      func sum(_ tiles: Range<Int>) throws -> [Float] {
        let ledger = MemoryLedger()
        let gradient = try Buffer<Float>(
          count: shape.parameterCount, .perturbations, for: "a gradient", ledger: ledger)
        let room = try Buffer<Float>(
          count: WeightGradient.tileFloats(shape), .perturbations, for: "a tile's", ledger: ledger)
        for job in 0..<weightGradient.jobCount {
          weightGradient.run(job, tiles: tiles.count, room: room.pointer, into: gradient.pointer) {
            samples.tile(tiles.lowerBound + $0, tokens: tokens)
          }
        }
        return gradient.array
      }
      let parts = try (0..<tiles).map { try sum($0..<$0 + 1) }
      expectSame(bits(try sum(0..<tiles)), bits(added(parts)), "\(tiles) tiles")
    }
  }

  /// ∂gates, states and tokens as node perturbation has them, [L][T][K][16][4U] and [L][T][K + 1][16][U].
  private final class RandomSamples {
    let gates: Buffer<Float>
    let states: Buffer<Float>
    let tokens: Buffer<UInt32>
    let window: Int
    private var places: Tape.Places

    init(_ plan: BPTTPlan, tiles: Int, window: Int) throws {
      let units = plan.topUnits
      self.window = window
      places = Tape.Places(plan, keepsCells: false)
      places.rows = (0..<plan.shape.layers).map { $0 * tiles * window * 16 * 4 * units }
      places.hidden = (0..<plan.shape.layers).map { $0 * tiles * (window + 1) * 16 * units }
      let (ledger, rows) = (MemoryLedger(), plan.shape.layers * tiles * 16)
      gates = try Buffer(count: rows * window * 4 * units, .activations, for: "gates", ledger: ledger)
      states = try Buffer(count: rows * (window + 1) * units, .activations, for: "states", ledger: ledger)
      tokens = try Buffer(count: tiles * window * 16, .activations, for: "tokens", ledger: ledger)
      var random = ModelRandom(6)
      for i in 0..<gates.count { gates[i] = Float(random.unit()) }
      for i in 0..<states.count { states[i] = Float(random.unit()) }
      let ids = random.tokens(tokens.count, vocabulary: plan.shape.vocabularySize)
      for i in ids.indices { tokens[i] = ids[i] & TokenMark.id }
    }

    func tile(_ tile: Int, tokens count: Int) -> GradientSamples {
      let before = tile * (window + 1) * 16
      return GradientSamples(
        count: count * 16, rows: gates.pointer, apart: gates.pointer, h: states.pointer, places: places,
        first: tile * window * 16, before: before, after: before + 16,
        tokens: tokens.pointer + tile * window * 16)
    }
  }

  // MARK: Figures

  @Test("Figures of all pairs", arguments: [1, 16, 40])
  func figures(pairs: Int) {
    var random = ModelRandom(7)
    let values = (0..<pairs).map { _ in random.unit() * 1e3 }
    var expected = 0.0
    for first in stride(from: 0, to: pairs, by: 16) {
      expected += values[first..<min(pairs, first + 16)].reduce(0, +)
    }
    #expect(TileSums.sum(pairs) { values[$0] } == expected)
    // Pairs of a stream that begin and end within a tile.
    let some = min(3, pairs - 1)..<max(pairs - 2, pairs / 2 + 1)
    var sum: Float = 0
    for first in stride(from: 0, to: pairs, by: 16) {
      let part = some.clamped(to: first..<min(pairs, first + 16))
      if !part.isEmpty { sum += part.reduce(0) { $0 + Float(values[$1]) } }
    }
    #expect(TileSums.sum(some) { Float(values[$0]) } == sum)
  }
}
