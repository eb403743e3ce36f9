import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

/// What is not an estimator's: those keep the laws (`EstimatorLaws`).
@Suite("Bytes beside the estimator")
struct EstimatorMemoryTests {
  static let shapes =
    [(1, 1, 1), (13, 4, 2), (300, 17, 1), (64, 33, 3)]
    .map { ModelShape(vocabularySize: $0.0, hiddenSize: $0.1, layers: $0.2) } + [
      ModelShape(vocabularySize: 9, hiddenSize: 20, layers: 2, heads: 5)
    ]

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
