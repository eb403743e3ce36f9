import LongzooMemory
import LongzooTestSupport
import Testing

@testable import LongzooModel

/// Weights that are read where the parameters lie: the table, the first stage's bias and the readout of large vocabularies.
@Suite("Weights that are not packed")
struct ModelPlainTests {
  static let shapes = [
    ModelShape(vocabularySize: 13, hiddenSize: 6, layers: 2, heads: 2),
    ModelShape(vocabularySize: 130, hiddenSize: 21, layers: 2),
    ModelShape(vocabularySize: 100, hiddenSize: 12, embeddingSize: 7),
    ModelShape(vocabularySize: 1, hiddenSize: 1),
  ]

  private func layout(_ shape: ModelShape, kind: DirectionKind = .rank1, readsInPlace: Bool = true) -> Layout
  {
    Layout(shape, kind: kind, exactReadout: true, readsInPlace: readsInPlace)
  }

  @Test("A sequence has the same bits", arguments: shapes)
  func sequence(_ shape: ModelShape) throws {
    var random = ModelRandom(47)
    let tokens = random.tokens(30, vocabulary: shape.vocabularySize)
    for instructions in Instructions.fast {
      let all = try [false, true].map { readsInPlace in
        let model = try RandomModel(layout(shape, readsInPlace: readsInPlace), seed: 43)
        let sequence = try SequenceModel(model.weights, instructions: instructions, ledger: MemoryLedger())
        var losses = [Float](repeating: 0, count: 29)
        var hits = [UInt8](repeating: 0, count: 29)
        let total = tokens.withUnsafeBufferPointer { sequence.run($0, losses: &losses, hits: &hits) }
        return (total, losses, hits)
      }
      #expect(all[0].0 == all[1].0 && all[0].1 == all[1].1 && all[0].2 == all[1].2, "\(instructions)")
    }
  }

  @Test("States of a population have the same bits", arguments: shapes, DirectionKind.allCases)
  func states(_ shape: ModelShape, _ kind: DirectionKind) throws {
    for instructions in Instructions.fast {
      let all = try [false, true].map { readsInPlace in
        let layout = layout(shape, kind: kind, readsInPlace: readsInPlace)
        let model = try RandomModel(layout, seed: 43)
        let under = try PopulationUnderTest(layout, pairs: 21, instructions: instructions, seed: 5)
        let samples = try ReadoutSamples(
          layout, tiles: 2, tilesOfSum: 2, capacity: 6, threads: 1, instructions: instructions,
          ledger: MemoryLedger())
        if readsInPlace {
          for tile in 0..<2 { under.runApart(model.weights, samples, tile: tile, count: 6) }
        } else {
          under.run(model.weights, chunks: [6], withReadout: false)
        }
        return (0..<21).flatMap { pair in
          under.stateIndices(pair: pair).map { under.population.states[$0].bitPattern }
        }
      }
      expectSame(all[0], all[1], "\(instructions)")
    }
  }

  /// What the readout's two passes make of the same h, against the definition in double.
  @Test("The readout apart is what its definition says", arguments: shapes)
  func reference(_ shape: ModelShape) throws {
    let layout = layout(shape)
    let model = try RandomModel(layout, seed: 43)
    let (tiles, count) = (2, 5)
    func run(_ instructions: Instructions) throws -> (losses: [Double], sum: [Float], bias: [Float]) {
      // The same h for all: whatever the reference's kernels say of it.
      let under = try PopulationUnderTest(layout, pairs: 21, instructions: .reference, seed: 5)
      for i in under.tokens.indices where i % 7 == 2 { under.tokens[i] |= TokenMark.mark }
      let samples = try ReadoutSamples(
        layout, tiles: tiles, tilesOfSum: tiles, capacity: count, threads: 1, instructions: instructions,
        ledger: MemoryLedger())
      for tile in 0..<tiles { under.runApart(model.weights, samples, tile: tile, count: count) }
      under.read(model.weights, samples, count: count, on: model.pool)
      let rows = layout.strips * Layout.stripRows
      var sum = [Float](repeating: 0, count: rows * layout.paddedInputs)
      var bias = [Float](repeating: 0, count: rows * Tile.pairs)
      let references = try Buffer<Float>(
        count: count * tiles * Tile.columns, .activations, for: "references", ledger: MemoryLedger())
      try sum.withUnsafeMutableBufferPointer { sum in
        try bias.withUnsafeMutableBufferPointer { bias in
          for strip in 0..<layout.strips {
            let to = try Buffer<Float>(
              count: Layout.stripRows * layout.paddedInputs, .activations, for: "a sum",
              ledger: MemoryLedger())
            let biasTo = try Buffer<Float>(
              count: Layout.stripRows * Tile.pairs, .activations, for: "a sum", ledger: MemoryLedger())
            samples.add(
              strip: strip, tiles: 0..<tiles, fresh: true, references: references.pointer, to: to.pointer,
              bias: biasTo.pointer, thread: 0)
            for i in 0..<to.count { sum[strip * to.count + i] = to[i] }
            for i in 0..<biasTo.count { bias[strip * biasTo.count + i] = biasTo[i] }
          }
        }
      }
      return (Array(under.population.losses.elements), sum, bias)
    }
    let expected = try run(.reference)
    // A logit's and the log-sum-exp's terms; |p − y| ≤ 1 and |h| ≤ 1, of all samples.
    let terms = Double(2 * shape.hiddenSize + shape.vocabularySize + 8 + 2 * count * tiles * Tile.columns)
    for instructions in Instructions.fast {
      let actual = try run(instructions)
      let real = shape.vocabularySize * layout.paddedInputs
      #expect(zip(actual.losses, expected.losses).allSatisfy { abs($0 - $1) <= terms * 0x1p-22 })
      #expect(
        zip(actual.sum[..<real], expected.sum).allSatisfy { abs(Double($0) - Double($1)) <= terms * 0x1p-22 })
      let biases = shape.vocabularySize * Tile.pairs
      #expect(
        zip(actual.bias[..<biases], expected.bias).allSatisfy {
          abs(Double($0) - Double($1)) <= terms * 0x1p-22
        })
    }
  }
}

extension PopulationUnderTest {
  private func block(_ count: Int, _ body: (TokenBlock) -> Void) {
    tokens.withUnsafeBufferPointer {
      body(
        TokenBlock(
          unchecked: $0.baseAddress!, streams: population.streams, stride: Self.tokenStride, count: count,
          vocabularySize: layout.shape.vocabularySize))
    }
  }

  /// Runs a tile from the first token, and leaves its h in `samples`.
  func runApart(_ weights: PackedWeights, _ samples: ReadoutSamples, tile: Int, count: Int) {
    block(count) {
      population.run(
        tile: tile, thread: 0, weights: weights, epsilon: epsilon, tokens: $0, readout: samples.rows)
    }
  }

  /// The readout's first pass over what they have left.
  func read(_ weights: PackedWeights, _ samples: ReadoutSamples, count: Int, on pool: ThreadPool) {
    block(count) { samples.read($0, of: population, weights, on: pool) }
  }
}
