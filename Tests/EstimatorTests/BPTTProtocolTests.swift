import LongzooMemory
import LongzooModel
import Testing

@testable import LongzooEstimator

@Suite("Gradient estimators: one protocol")
struct GradientEstimatorTests {
  /// All that a training loop does, whatever the estimator.
  private func descend<E: GradientEstimator>(
    _ estimator: E, _ parameters: Parameters, rows: [UInt32], tokens: Int, rate: Float
  ) -> Double {
    estimator.take(parameters)
    estimator.beginWindow(0)
    estimator.consume(rows, stride: tokens + 1, count: tokens)
    let result = estimator.finishWindow(tokens: tokens)
    #expect(result.hasGradient)
    for i in 0..<parameters.values.count { parameters.values[i] -= rate * estimator.gradient[i] }
    estimator.beginContext()
    return result.loss
  }

  @Test("the same loop follows the exact gradient and CD-RGE's downhill")
  func both() throws {
    let model = try BPTTCase(vocabulary: 7, hidden: 8, streams: 1, tokens: 24)
    let (ledger, pool) = (MemoryLedger(), try ThreadPool(threads: 1))
    let bptt = try model.estimator()
    let parameters = model.parameters
    func exactStep(rate: Float) -> Double {
      descend(bptt, parameters, rows: model.rows[0], tokens: 24, rate: rate)
    }
    let before = exactStep(rate: 0.1)
    let after = exactStep(rate: 0)
    #expect(after < before)
    let c = CDRGE.Configuration(pairs: 256, epsilon: 0.02, exactReadout: true, chunk: 24, seed: 1)
    let cdrge = try CDRGE(model.shape, c, pool: pool, ledger: ledger)
    let seen = descend(cdrge, parameters, rows: model.rows[0], tokens: 24, rate: 0.05)
    #expect(abs(seen - after) < 0.05)
    #expect(exactStep(rate: 0) < after)
  }
}
