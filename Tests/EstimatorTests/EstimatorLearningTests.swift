import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

@Suite("Learning")
struct EstimatorLearningTests {
  /// 0 0 1 0 0 1 …: what follows a 0 depends on the token before it, so that the recurrent part has to learn.
  /// Without memory the best mean loss is 2/3·ln 2 = 0.46 nats.
  @Test("A sequence that needs a memory of one token is learned", arguments: EstimatorMode.all)
  func repetition(_ mode: EstimatorMode) throws {
    let shape = ModelShape(vocabularySize: 3, hiddenSize: 8)
    let under = try EstimatorUnderTest(
      shape,
      CDRGE.Configuration(
        pairs: 64, epsilon: 0.05, kind: mode.kind, exactReadout: mode.exact, lifetime: 2, streams: 3,
        chunk: 6,
        seed: 5), threads: 2, seed: 5)
    under.parameters.initialize(seed: 6)
    under.estimator.take(under.parameters)
    // The streams are at different places of the period.
    under.streams = (0..<3).map { stream in (0..<64).map { ($0 + stream) % 3 == 2 ? 1 : 0 } }
    let optimizer = try Optimizer(
      shape, .init(kind: .adam), ledger: MemoryLedger())
    var first = 0.0
    var last = 0.0
    for number in 0..<300 {
      let result = under.window(number, from: 6 * (number % 9), chunks: [6])
      #expect(result.hasGradient)
      if number == 0 { first = result.loss }
      last = number < 290 ? 0 : last + result.loss / 10
      optimizer.update(under.parameters, gradient: under.estimator.gradient, rate: 0.03, on: under.pool)
      under.estimator.take(under.parameters)
    }
    #expect(first > 0.8, "the loss began at \(first)")
    #expect(last < 0.1, "the loss ended at \(last)")
  }
}
