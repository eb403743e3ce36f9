import LongzooMemory
import LongzooTestSupport
import Testing

@testable import LongzooEstimator
@testable import LongzooModel

/// Head by head must be what token by token is, but for the order in which a logit is summed.
@Suite("Heads one after another")
struct HeadOrderTests {
  static let shapes = [
    ModelShape(vocabularySize: 5, hiddenSize: 16, heads: 16),
    ModelShape(vocabularySize: 37, hiddenSize: 34, heads: 17),
    ModelShape(vocabularySize: 30, hiddenSize: 100, heads: 20),
    ModelShape(vocabularySize: 13, hiddenSize: 7, heads: 1),
  ]

  @Test("Losses and tokens read are those of the other order", arguments: shapes, [1, 2])
  func losses(_ shape: ModelShape, threads: Int) throws {
    let (pairs, chunk, streams, epsilon) = (40, 9, 3, Float(0.1))
    let layout = Layout(shape, kind: .rank1, exactReadout: false)
    let (ledger, pool) = (MemoryLedger(), try ThreadPool(threads: threads))
    let weights = try PackedWeights(layout, ledger: ledger)
    weights.initialize(seed: 5, Initialization(tokenScale: 1), on: pool)
    var random = ModelRandom(3)
    let tokens = random.tokens(streams * (chunk + 1), vocabulary: shape.vocabularySize)
      .map { random.within(0...4) == 0 ? $0 | 1 << 31 : $0 }
    func population(_ inHeadOrder: Bool) throws -> Population {
      let population = try Population(
        layout, pairs: pairs, streams: streams, threads: threads, carriesStates: false,
        inHeadOrder: inHeadOrder,
        ledger: ledger)
      var random = ModelRandom(8)
      for i in 0..<population.signs.count {
        population.signs[i] = UInt16(truncatingIfNeeded: random.word() >> 20)
      }
      return population
    }
    let (plain, byHead) = (try population(false), try population(true))
    let before = ledger.snapshot().current.total
    let order = try HeadOrder(byHead, chunk: chunk, threads: threads, instructions: .best, ledger: ledger)
    #expect(
      ledger.snapshot().current.total - before
        == HeadOrder.byteCount(for: layout, pairs: pairs, chunk: chunk, threads: threads))
    let whole = try TokenBlock(tokens.span, streams: streams, vocabularySize: shape.vocabularySize)
    for count in [chunk, 4] {
      let block = whole[0..<count]
      pool.run(plain.tiles) { tile, thread in
        plain.run(
          tile: tile, thread: thread, weights: weights, epsilon: epsilon, tokens: block, readout: nil)
      }
      order.run(weights: weights, epsilon: epsilon, tokens: block, on: pool)
    }
    // A rounding for each sum on the longest way to a loss, of values about 1, for each of 13 tokens.
    let sums = 2 * chunk * (shape.headSize + 4) + 2 * shape.hiddenSize + shape.vocabularySize + 8
    for pair in 0..<pairs {
      let (a, b) = (plain.loss(ofPair: pair), byHead.loss(ofPair: pair))
      #expect(abs(a.plus - b.plus) <= 13 * Double(sums) * 0x1p-24 * max(1, a.plus / 13))
      #expect(abs(a.minus - b.minus) <= 13 * Double(sums) * 0x1p-24 * max(1, a.minus / 13))
      #expect(a.plus != a.minus)
    }
    expectSame(plain.seen.array, byHead.seen.array)
    withExtendedLifetime((plain, byHead)) {}
  }

  @Test("A large model of many heads is run so, and charged for it; the threads change no bit")
  func largeModel() throws {
    let shape = ModelShape(vocabularySize: 10, hiddenSize: 9600, heads: 32)
    func window(threads: Int) throws -> (loss: UInt64, weights: [Float]) {
      var c = CDRGE.Configuration(pairs: 20, epsilon: 0.05, exactReadout: false, chunk: 3, seed: 17)
      c.inPlace = true
      c.carriesStates = false
      let layout = CDRGE.layout(for: shape, c)
      #expect(HeadOrder.pays(for: layout, pairs: 20, chunk: 3, carriesStates: false))
      #expect(!HeadOrder.pays(for: layout, pairs: 20, chunk: 3, carriesStates: true))
      #expect(!HeadOrder.pays(for: layout, pairs: 20, chunk: 100_000, carriesStates: false))
      let (ledger, pool) = (MemoryLedger(), try ThreadPool(threads: threads))
      let estimator = try CDRGE(shape, c, pool: pool, ledger: ledger)
      #expect(ledger.snapshot().current == CDRGE.byteCount(for: shape, c, threads: threads))
      estimator.weights.initialize(seed: 5, on: pool)
      estimator.beginContext()
      estimator.beginWindow(0)
      estimator.consume([1, 7, 3, 9], stride: 4, count: 3)
      let result = estimator.finishWindow(tokens: 3)
      #expect(result.hasGradient)
      estimator.descend(rate: 0.1, decay: 0)
      return (result.loss.bitPattern, estimator.weights.elements[..<4000].map { $0 })
    }
    let (one, two) = (try window(threads: 1), try window(threads: 2))
    #expect(one.loss == two.loss)
    expectSame(one.weights, two.weights)
  }
}
