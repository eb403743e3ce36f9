import Foundation
import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

/// No test but a measurement: how far the estimate is from the exact gradient, for several ε. Beside the same in a build whose
/// products have bf16 factors (`Benchmarks/bf16.sh`) it says what that costs.
@Suite(
  "Cosines of the estimate",
  .enabled(if: ProcessInfo.processInfo.environment["LONGZOO_MEASURE_COSINES"] != nil))
struct CosineMeasurement {
  static let (pairs, window, draws) = (256, 16, 48)

  @Test(arguments: [DirectionKind.rank1, .rademacher])
  func cosines(_ kind: DirectionKind) throws {
    let pool = try ThreadPool(threads: 2)
    let shape = ModelShape(vocabularySize: 65, hiddenSize: 64)
    let parameters = try Parameters(shape, ledger: MemoryLedger())
    parameters.initialize(seed: 7)
    var random = ModelRandom(3)
    // A token says something about the one two places behind it: there is a gradient to be found.
    var tokens = random.tokens(Self.pairs * (Self.window + 1), vocabulary: 65)
    for i in 2..<tokens.count where i % 3 != 0 { tokens[i] = (tokens[i - 2] * 7 + 3) % 65 }
    let exact = try exactGradient(shape, parameters, tokens, pool)
    for epsilon: Float in [0.2, 0.05, 0.02, 0.005, 0.001] {
      let (single, mean) = try estimate(shape, parameters, tokens, kind, epsilon, exact: exact, pool)
      let text = String(format: "%.4f, of the mean of %d %.4f", single, Self.draws, mean)
      print("cosine \(kind) ε \(epsilon): \(text)")
    }
  }

  private func exactGradient(
    _ shape: ModelShape, _ parameters: Parameters, _ tokens: [UInt32], _ pool: ThreadPool
  ) throws -> [Double] {
    let c = BPTT.Configuration(streams: Self.pairs, window: Self.window)
    let bptt = try BPTT(shape, c, pool: pool, ledger: MemoryLedger())
    bptt.take(parameters)
    bptt.beginWindow(0)
    bptt.consume(tokens, stride: Self.window + 1, count: Self.window)
    #expect(bptt.finishWindow(tokens: Self.window).hasGradient)
    return searched(bptt.gradient.array, shape)
  }

  /// The parameters that are searched for by pairs: all but the readout.
  private func searched(_ gradient: [Float], _ shape: ModelShape) -> [Double] {
    gradient[..<shape.slice(.readout).offset].map(Double.init)
  }

  /// The mean cosine of an estimate, and the cosine of their mean.
  private func estimate(
    _ shape: ModelShape, _ parameters: Parameters, _ tokens: [UInt32], _ kind: DirectionKind,
    _ epsilon: Float,
    exact: [Double], _ pool: ThreadPool
  ) throws -> (Double, Double) {
    let c = CDRGE.Configuration(
      pairs: Self.pairs, epsilon: epsilon, kind: kind, exactReadout: true, streams: Self.pairs,
      chunk: Self.window,
      seed: 11)
    let estimator = try CDRGE(shape, c, pool: pool, ledger: MemoryLedger())
    estimator.take(parameters)
    var (sum, cosines) = ([Double](repeating: 0, count: exact.count), 0.0)
    for draw in 0..<Self.draws {
      estimator.beginContext()
      estimator.beginWindow(draw)
      estimator.consume(tokens, stride: Self.window + 1, count: Self.window)
      #expect(estimator.finishWindow(tokens: Self.window).hasGradient)
      let gradient = searched(estimator.gradient.array, shape)
      cosines += cosine(gradient, exact)
      for i in 0..<sum.count { sum[i] += gradient[i] }
    }
    return (cosines / Double(Self.draws), cosine(sum, exact))
  }

  private func cosine(_ a: [Double], _ b: [Double]) -> Double {
    func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
  }
}
