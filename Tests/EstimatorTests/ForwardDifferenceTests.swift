import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

private typealias ForwardUnderTest = UnderTest<FDRGE>

extension UnderTest where Estimator == FDRGE {
  fileprivate convenience init(
    _ shape: ModelShape, _ mode: EstimatorMode, pairs: Int, streams: Int, lifetime: Int = 1,
    epsilon: Float = 0x1p-7
  ) throws {
    let c = CDRGE.Configuration(
      pairs: pairs, epsilon: epsilon, kind: mode.kind, exactReadout: mode.exact, lifetime: lifetime,
      streams: streams, chunk: 8, seed: 99)
    try self.init(shape, streams: streams) { try FDRGE(shape, c, pool: $0, ledger: $1) }
  }

  fileprivate func tokens(_ range: Range<Int>, pair: Int) -> [Int] {
    tokens(range.lowerBound, range.count, stream: estimator.population.stream(ofPair: pair))
  }

  /// Whether a pair has read a token among the inputs of a range.
  fileprivate func isRead(_ token: Int, pair: Int, _ range: Range<Int>) -> Bool {
    tokens(range, pair: pair).dropLast().contains(token)
  }
}

@Suite("Forward differences")
struct ForwardDifferenceTests {
  static let shape = ModelShape(vocabularySize: 5, hiddenSize: 3)
  static let deep = ModelShape(vocabularySize: 13, hiddenSize: 6, layers: 2, heads: 2)
  /// One stream for all, with an even and an odd number of tiles; a few; one each.
  static let crowds = [(64, 1), (40, 1), (7, 1), (40, 5), (20, 20)]

  private func perturbed(_ vector: [Double], _ shape: ModelShape, _ mode: EstimatorMode) -> [Double] {
    mode.exact ? Array(vector[..<shape.slice(.readout).offset]) : vector
  }

  @Test(
    "Losses are those of θ + εz since the lifetime's start and of θ, and the estimate their difference times z",
    arguments: EstimatorMode.sideBySide, crowds)
  func losses(_ mode: EstimatorMode, _ crowd: (pairs: Int, streams: Int)) throws {
    let (pairs, epsilon) = (crowd.pairs, 0.05)
    let under = try ForwardUnderTest(
      Self.deep, mode, pairs: pairs, streams: crowd.streams, lifetime: 2, epsilon: Float(epsilon))
    let model = Self.deep.reference
    let theta = under.theta
    for window in 0..<3 {
      let result = under.window(window, from: 3 * window, chunks: [1, 2])
      var expected = Array(repeating: 0.0, count: theta.count)
      var mean = 0.0
      for pair in 0..<pairs {
        let z = under.estimator.population.direction(ofPair: pair)
        let first = window == 0 || (window + pair / 16) % 2 == 0 ? window : window - 1
        var state = model.zeroState
        _ = model.losses(theta, under.tokens(0..<3 * first, pair: pair), state: &state)
        let range = 3 * first..<3 * window + 3
        let counted = 3 * (window - first)..<range.count
        let tokens = under.tokens(range, pair: pair)
        let moved = model.loss(
          zip(theta, z).map { $0 + Double(Float(epsilon)) * $1 }, tokens, from: state, counted: counted)
        let base = model.loss(theta, tokens, from: state, counted: counted)
        let found = under.estimator.loss(ofPair: pair)
        #expect(
          abs(found.moved - moved) < 2e-5 && abs(found.base - base) < 2e-5, "window \(window), pair \(pair)")
        mean += base / Double(3 * pairs)
        let slope = (found.moved - found.base) / (Double(Float(epsilon)) * 3 * Double(pairs))
        for i in z.indices where i >= 13 * 24 || under.isRead(i / 24, pair: pair, range) {
          expected[i] += slope * z[i]
        }
      }
      #expect(abs(result.loss - mean) < 1e-5)
      let estimate = perturbed(under.gradient, Self.deep, mode)
      for (i, value) in estimate.enumerated() where abs(value - expected[i]) > 1e-4 {
        Issue.record("window \(window), parameter \(i): \(value), \(expected[i])")
      }
    }
  }

  @Test("As ε goes to zero it becomes jvp, in proportion to ε", arguments: EstimatorMode.sideBySide)
  func smallSteps(_ mode: EstimatorMode) throws {
    var configuration = CDRGE.Configuration(
      pairs: 32, epsilon: 0.1, kind: mode.kind, exactReadout: mode.exact, lifetime: 3, chunk: 8, seed: 99)
    configuration.method = .tangent
    let tangent = try EstimatorUnderTest(Self.shape, configuration, seed: 21)
    var errors: [Double] = []
    for epsilon in [Float(0x1p-4), 0x1p-6, 0x1p-8] {
      let forward = try ForwardUnderTest(
        Self.shape, mode, pairs: 32, streams: 1, lifetime: 3, epsilon: epsilon)
      forward.streams = tangent.streams
      tangent.estimator.beginContext()
      for window in 0..<2 {
        forward.window(window, from: 3 * window, chunks: [3])
        tangent.window(window, from: 3 * window, chunks: [3])
      }
      let b = perturbed(tangent.gradient, Self.shape, mode)
      let difference = zip(perturbed(forward.gradient, Self.shape, mode), b).map { $0 - $1 }
      errors.append((dot(difference, difference) / dot(b, b)).squareRoot())
    }
    for step in 0..<2 {
      let ratio = errors[step] / errors[step + 1]
      #expect(ratio > 2.5 && ratio < 6, "\(errors)")
    }
  }

  @Test("A loss that is no number is refused, and the states are good again behind it", arguments: [1, 20])
  func broken(_ streams: Int) throws {
    let under = try ForwardUnderTest(
      Self.shape, EstimatorMode(kind: .rank1, exact: true), pairs: 20, streams: streams, lifetime: 100)
    let good = under.parameters.values[0]
    under.parameters.values[0] = .nan
    under.estimator.take(under.parameters)
    under.streams = under.streams.map { _ in Array(repeating: 0, count: 64) }
    let result = under.window(0, from: 0, chunks: [3])
    #expect(!result.hasGradient && result.brokenPairs == 20)
    under.parameters.values[0] = good
    under.estimator.take(under.parameters)
    #expect(under.window(1, from: 3, chunks: [3]).hasGradient)
  }
}
