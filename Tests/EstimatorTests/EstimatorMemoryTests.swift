import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

@Suite("Bytes of the estimator")
struct EstimatorMemoryTests {
  static let shapes =
    [(1, 1, 1), (13, 4, 2), (300, 17, 1), (64, 33, 3)]
    .map { ModelShape(vocabularySize: $0.0, hiddenSize: $0.1, layers: $0.2) } + [
      ModelShape(vocabularySize: 9, hiddenSize: 20, layers: 2, heads: 5)
    ]

  @Test("CD-RGE is charged what byteCount says", arguments: shapes, EstimatorMode.all)
  func estimator(_ shape: ModelShape, _ mode: EstimatorMode) throws {
    for (pairs, streams, chunk, threads) in [(1, 1, 1, 1), (16, 4, 7, 2), (50, 50, 3, 3)] {
      for method in PopulationMethod.allCases {
        try charged(shape, mode, method, pairs: pairs, streams: streams, chunk: chunk, threads: threads)
      }
    }
  }

  private func charged(
    _ shape: ModelShape, _ mode: EstimatorMode, _ method: PopulationMethod, pairs: Int, streams: Int,
    chunk: Int,
    threads: Int
  ) throws {
    do {
      var configuration = CDRGE.Configuration(
        pairs: pairs, epsilon: 0.1, kind: mode.kind, exactReadout: mode.exact, lifetime: 2, streams: streams,
        chunk: chunk, seed: 1)
      configuration.method = method
      let ledger = MemoryLedger()
      do {
        let pool = try ThreadPool(threads: threads)
        let estimator = try CDRGE(shape, configuration, pool: pool, ledger: ledger)
        #expect(ledger.snapshot().current == CDRGE.byteCount(for: shape, configuration, threads: threads))
        #expect(estimator.gradient.count == shape.parameterCount)
      }
      #expect(ledger.snapshot().current.total == 0)
    }
  }

  @Test("Optimizers and the average are charged what byteCount says", arguments: shapes)
  func optimizers(_ shape: ModelShape) throws {
    for kind in OptimizerKind.allCases {
      let configuration = Optimizer.Configuration(kind: kind)
      let ledger = MemoryLedger()
      do {
        let optimizer = try Optimizer(shape, configuration, ledger: ledger)
        let expected = Optimizer.byteCount(for: shape, configuration)
        #expect(ledger.snapshot().current[.optimizer] == expected)
        #expect(ledger.snapshot().current.total == expected)
        #expect(optimizer.first.count == shape.parameterCount)
      }
      #expect(ledger.snapshot().current.total == 0)
    }
    let ledger = MemoryLedger()
    let average = try WeightAverage(shape, ledger: ledger)
    #expect(ledger.snapshot().current[.optimizer] == WeightAverage.byteCount(for: shape))
    #expect(ledger.snapshot().current.total == WeightAverage.byteCount(for: shape))
    #expect(average.mean.values.count == shape.parameterCount)
  }

  @Test(
    "Windows reserve nothing: not even for a moment, and not for many windows since the reset",
    arguments: EstimatorMode.all, PopulationMethod.allCases)
  func steadyState(_ mode: EstimatorMode, _ method: PopulationMethod) throws {
    let ledger = MemoryLedger()
    let shape = Self.shapes[1]
    var configuration = CDRGE.Configuration(
      pairs: 40, epsilon: 0.1, kind: mode.kind, exactReadout: mode.exact, lifetime: 3, streams: 3, chunk: 4,
      seed: 1)
    configuration.method = method
    let under = try EstimatorUnderTest(shape, configuration, threads: 2, seed: 1, ledger: ledger)
    let optimizer = try Optimizer(
      shape, .init(kind: .adam), ledger: ledger)
    let before = ledger.snapshot()
    for number in 0..<8 {
      if number == 5 { under.estimator.beginContext() }
      under.window(number, from: 5 * number, chunks: [4, 1])
      optimizer.update(under.parameters, gradient: under.estimator.gradient, rate: 0.01, on: under.pool)
      under.estimator.take(under.parameters)
    }
    #expect(ledger.snapshot() == before)
    #expect(before.peakTotal == before.current.total)
  }

  @Test("The chunk keeps the exact readout's rows within 4 MiB")
  func chunk() {
    for (vocabulary, hidden, pairs) in [(10, 4, 16), (256, 64, 256), (5000, 100, 1000), (50_000, 128, 4096)] {
      let shape = ModelShape(vocabularySize: vocabulary, hiddenSize: hidden)
      let layout = Layout(shape, kind: .rank1, exactReadout: true)
      let chunk = CDRGE.chunk(for: shape, pairs: pairs, exactReadout: true, window: nil)
      let row = (pairs + 15) / 16 * layout.readoutTileFloats * 4
      #expect(chunk >= 1 && chunk <= 256)
      #expect(chunk == 1 || chunk * row <= 4 << 20)
      #expect(chunk == 256 || (chunk + 1) * row > 4 << 20)
      #expect(CDRGE.chunk(for: shape, pairs: pairs, exactReadout: false, window: 12) == 12)
      #expect(CDRGE.chunk(for: shape, pairs: pairs, exactReadout: true, window: 2) == min(2, chunk))
    }
  }
}
