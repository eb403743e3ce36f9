import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

@Suite("Broken pairs")
struct EstimatorBrokenPairTests {
  static let shape = ModelShape(vocabularySize: 6, hiddenSize: 4)

  @Test(
    "A window with a broken pair gives no gradient, is counted, and leaves no trace",
    arguments: EstimatorMode.all)
  func refused(_ mode: EstimatorMode) throws {
    for lifetime in [1, 4] {
      let under = try EstimatorUnderTest(
        Self.shape,
        CDRGE.Configuration(
          pairs: 20, epsilon: 0.1, kind: mode.kind, exactReadout: mode.exact, lifetime: lifetime, streams: 3,
          chunk: 8, seed: 4), seed: 8)
      let population = under.estimator.population
      let rows = population.states.count / 2 / 32
      under.window(0, chunks: [4])
      let before = under.gradientBits

      under.estimator.beginWindow(1)
      // A cell of pair 17 under +ε, and one of pair 2 under −ε.
      population.states[(rows + rows / 2) * 32 + 1] = .nan
      population.states[rows / 2 * 32 + 16 + 2] = -.nan
      under.consume(from: 4, chunks: [3, 1])
      let result = under.estimator.finishWindow(tokens: 4)
      #expect(!result.hasGradient && result.brokenPairs == 2)
      #expect(result.loss.isFinite && result.loss > 0)
      expectSame(under.gradientBits, before, "the last gradient must stay")
      for pair in 0..<20 {
        let states = (0..<rows).flatMap { row in
          [0, 16].map { population.states[(pair / 16 * rows + row) * 32 + $0 + pair % 16] }
        }
        if pair == 2 || pair == 17 {
          #expect(states.allSatisfy { $0 == 0 }, "pair \(pair)")
        } else {
          #expect(states.contains { $0 != 0 } && states.allSatisfy { $0.isFinite }, "pair \(pair)")
        }
      }
      for number in 2..<5 {
        let next = under.window(number, from: 4 * number, chunks: [2, 2])
        #expect(next.hasGradient && next.brokenPairs == 0)
        #expect(under.gradient.allSatisfy { $0.isFinite })
      }
    }
  }

  @Test("NaN in the weights breaks every pair, and mended weights work again", arguments: EstimatorMode.all)
  func weights(_ mode: EstimatorMode) throws {
    let under = try EstimatorUnderTest(
      Self.shape,
      CDRGE.Configuration(
        pairs: 20, epsilon: 0.1, kind: mode.kind, exactReadout: mode.exact, chunk: 8, seed: 4), seed: 8)
    let at = Self.shape.slice(.readoutBias).offset + 5
    let sound = under.parameters.values[at]
    under.parameters.values[at] = .nan
    under.estimator.take(under.parameters)
    #expect(under.window(0, chunks: [4]).brokenPairs == 20)
    under.parameters.values[at] = sound
    under.estimator.take(under.parameters)
    let result = under.window(1, from: 4, chunks: [4])
    #expect(result.brokenPairs == 0 && under.gradient.allSatisfy { $0.isFinite })
  }
}
