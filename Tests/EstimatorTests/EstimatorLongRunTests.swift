import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

/// Directions after more windows than 32 bits can count.
@Suite("Long runs")
struct EstimatorLongRunTests {
  private static let shape = ModelShape(vocabularySize: 6, hiddenSize: 4)
  /// On both sides of every border between the words of the counter.
  private static let windows = [
    0, 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, 1 << 33, 1 << 47, 1 << 48, 1 << 53,
  ]

  @Test(
    "No direction of any window comes again",
    arguments: [DirectionKind.rank1, .products(2), .rademacher, .gaussian])
  func weights(_ kind: DirectionKind) throws {
    let c = CDRGE.Configuration(pairs: 32, epsilon: 0.1, kind: kind, exactReadout: false, chunk: 8, seed: 4)
    let under = try EstimatorUnderTest(Self.shape, c, seed: 8)
    var seen: Set<[UInt16]> = []
    for window in Self.windows {
      under.estimator.restore(afterWindow: window)
      let signs = under.estimator.population.signs.array
      for half in [signs[..<(signs.count / 2)], signs[(signs.count / 2)...]] {
        // The second tile's lifetime is one further on, and its counter another.
        #expect(seen.insert(Array(half)).inserted, "window \(window)")
      }
    }
  }

  @Test("Nor do those of gates")
  func nodes() throws {
    let c = NodePerturbation.Configuration(pairs: 16, epsilon: 0.1, window: 4, chunk: 4, seed: 4)
    let under = try UnderTest<NodePerturbation>(Self.shape, streams: 1) {
      try NodePerturbation(Self.shape, c, pool: $0, ledger: $1)
    }
    var seen: Set<[UInt16]> = []
    for window in Self.windows {
      _ = under.window(window, chunks: [4])
      #expect(seen.insert(under.estimator.population.signs.array).inserted, "window \(window)")
    }
  }
}
