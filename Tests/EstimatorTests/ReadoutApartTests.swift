import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

/// The exact readout of large vocabularies does what that of small ones does, in other memory.
@Suite("The exact readout apart")
struct ReadoutApartTests {
  /// Of one strip and of several, of two stretches; heads, blocks, an embedding, and rows that fill no block.
  static let shapes = [
    ModelShape(vocabularySize: 13, hiddenSize: 6, layers: 2, heads: 2),
    ModelShape(vocabularySize: 130, hiddenSize: 20, layers: 2),
    ModelShape(vocabularySize: 1701, hiddenSize: 9),
    ModelShape(vocabularySize: 100, hiddenSize: 12, embeddingSize: 7),
  ]

  private func configuration(
    _ kind: DirectionKind, pairs: Int, chunk: Int = 8, isApart: Bool, method: PopulationMethod = .central
  ) -> CDRGE.Configuration {
    var c = CDRGE.Configuration(
      pairs: pairs, epsilon: 0.05, kind: kind, exactReadout: true, lifetime: 2, streams: 3, chunk: chunk,
      seed: 4)
    c.method = method
    c.isApart = isApart
    return c
  }

  /// Windows with marked targets, one chunk without any among them.
  private func mark(_ under: EstimatorUnderTest) {
    for stream in under.streams.indices {
      for token in under.streams[stream].indices where token % 5 == stream || (9...11).contains(token) {
        under.streams[stream][token] |= TokenMark.mark
      }
    }
  }

  @Test(
    "Gradients and losses have the same bits", arguments: shapes, [DirectionKind.rank1, .rademacher])
  func same(_ shape: ModelShape, _ kind: DirectionKind) throws {
    for (pairs, threads) in [(5, 1), (40, 2), (150, 2)] {
      for (chunk, chunks) in [(8, [8]), (8, [5, 3]), (4, [4, 4]), (3, [3, 1, 2, 2])] {
        let plain = try EstimatorUnderTest(
          shape, configuration(kind, pairs: pairs, chunk: chunk, isApart: false), threads: threads, seed: 8)
        var c = configuration(kind, pairs: pairs, chunk: chunk, isApart: true)
        c.isWindowWhole = chunk == 8
        let apart = try EstimatorUnderTest(shape, c, threads: threads, seed: 8)
        mark(plain)
        mark(apart)
        for window in 0..<3 {
          let expected = plain.window(window, from: 8 * window, chunks: chunks)
          let result = apart.window(window, from: 8 * window, chunks: chunks)
          #expect(result.loss == expected.loss && result.targets == expected.targets)
          expectSame(apart.gradientBits, plain.gradientBits, "\(pairs) pairs, \(chunks), window \(window)")
        }
      }
    }
  }

  /// Their kernels sum a logit in another order there: the error of a sum of n terms, of which p and the state have as many as a logit.
  @Test(
    "So they nearly have for other directions", arguments: shapes, [DirectionKind.products(3), .gaussian])
  func close(_ shape: ModelShape, _ kind: DirectionKind) throws {
    let plain = try EstimatorUnderTest(shape, configuration(kind, pairs: 40, isApart: false), seed: 8)
    let apart = try EstimatorUnderTest(shape, configuration(kind, pairs: 40, isApart: true), seed: 8)
    let expected = plain.window(0, chunks: [8])
    let result = apart.window(0, chunks: [5, 3])
    let terms = Double(shape.vocabularySize + shape.hiddenSize + 8 * 40)
    #expect(abs(result.loss - expected.loss) <= terms * 0x1p-24 * expected.loss)
    // |p − y| and |h| are at most 1, and so is their mean.
    let readout = shape.slice(.readout).offset..<shape.parameterCount
    for i in readout {
      #expect(abs(apart.gradient[i] - plain.gradient[i]) <= terms * 0x1p-24, "\(i)")
    }
  }

  @Test("In parts it is the same gradient, and the same step", arguments: shapes, OptimizerKind.allCases)
  func parts(_ shape: ModelShape, _ kind: OptimizerKind) throws {
    func make(givesParts: Bool) throws -> (EstimatorUnderTest, Optimizer) {
      var c = configuration(.rank1, pairs: 40, isApart: true)
      (c.isWindowWhole, c.givesParts) = (true, givesParts)
      let o = Optimizer.Configuration(kind: kind, weightDecay: 0.01, tableRate: 2)
      return (
        try EstimatorUnderTest(shape, c, threads: 2, seed: 8), try Optimizer(shape, o, ledger: MemoryLedger())
      )
    }
    let (whole, one) = try make(givesParts: false)
    let (parts, other) = try make(givesParts: true)
    #expect(whole.estimator.heldGradient == nil && parts.estimator.heldGradient != nil)
    for window in 0..<3 {
      let expected = whole.window(window, from: 8 * window, chunks: [8])
      let result = parts.window(window, from: 8 * window, chunks: [8])
      #expect(result.loss == expected.loss)
      let square = expected.meters.estimateSquare ?? 0
      #expect(abs((result.meters.estimateSquare ?? 0) - square) <= 1e-6 * square)
      one.update(whole.parameters, along: whole.estimator, rate: 0.01, on: whole.pool)
      other.update(parts.parameters, along: parts.estimator, rate: 0.01, on: parts.pool)
      whole.estimator.take(whole.parameters)
      parts.estimator.take(parts.parameters)
      expectSame(
        parts.parameters.values.array.map(\.bitPattern), whole.parameters.values.array.map(\.bitPattern),
        "window \(window)")
    }
  }

  @Test("The ledger is charged what byteCount says", arguments: shapes, [false, true])
  func ledger(_ shape: ModelShape, givesParts: Bool) throws {
    for (isWhole, threads) in [(false, 1), (true, 1), (true, 2)] {
      var c = configuration(.rank1, pairs: 40, isApart: true)
      (c.isWindowWhole, c.givesParts) = (isWhole, givesParts)
      let (ledger, pool) = (MemoryLedger(), try ThreadPool(threads: threads))
      let estimator = try CDRGE(shape, c, pool: pool, ledger: ledger)
      let table = ledger.snapshot().current
      #expect(table == CDRGE.byteCount(for: shape, c, threads: threads))
      #expect(estimator.gradient.count <= shape.parameterCount)
    }
  }

  /// 50,257 ids, 256 pairs, an embedding and a layer of 128: nothing beyond the weights themselves is of the model's size.
  @Test("The plan of a large vocabulary")
  func plan() throws {
    let shape = ModelShape(vocabularySize: 50_257, hiddenSize: 128, embeddingSize: 128)
    var c = EstimatorConfiguration()
    c.pairs = 256
    for (vocabulary, most) in [(50_257, 24 << 20), (200_000, 48 << 20)] {
      let shape = ModelShape(vocabularySize: vocabulary, hiddenSize: 128, embeddingSize: 128)
      var w = EstimatorWorkload(shape: shape, streams: 256, window: 8, seed: 1, threads: 2)
      w.takesParts = true
      #expect(EstimatorFamily.cdRGE.chunk(c, w) == 8)
      #expect(EstimatorFamily.cdRGE.byteCount(c, w).total <= most)
    }
    // Windows of any length keep the sums, and nothing else.
    let long = EstimatorWorkload(shape: shape, streams: 256, window: 1000, seed: 1, threads: 2)
    #expect(EstimatorFamily.cdRGE.byteCount(c, long).total <= 24 << 20 + 3 * 4 * shape.parameterCount)
    // Small ones are as they were.
    #expect(!CDRGE.isLarge(ModelShape(vocabularySize: 4096, hiddenSize: 64), pairs: 4096))
    #expect(!CDRGE.isLarge(ModelShape(vocabularySize: 50_257, hiddenSize: 64), pairs: 16))
  }
}
