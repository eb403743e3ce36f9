import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

/// The mean of many estimates against exact gradients. Seeds are fixed: the tests cannot fail by chance, only by change.
@Suite("Expectation of the estimate")
struct EstimatorExpectationTests {
  static let shape = ModelShape(vocabularySize: 5, hiddenSize: 3)
  static let pairs = 256
  static let windows = 400
  /// Small enough for the bias of order ε² to be lost in the error of 102,400 directions, about 0.003 of the gradient.
  static let epsilon: Float = 0x1p-7

  private func estimator(_ mode: EstimatorMode, streams: Int = 1, lifetime: Int = 1) throws
    -> EstimatorUnderTest
  {
    try EstimatorUnderTest(
      Self.shape,
      CDRGE.Configuration(
        pairs: Self.pairs, epsilon: Self.epsilon, kind: mode.kind, exactReadout: mode.exact,
        lifetime: lifetime,
        streams: streams, chunk: 8, seed: 99), seed: 21)
  }

  /// The parameters whose gradient is estimated.
  private func perturbed(_ vector: [Double], _ mode: EstimatorMode) -> [Double] {
    mode.exact ? Array(vector[..<Self.shape.slice(.readout).offset]) : vector
  }

  /// Within 5 standard errors everywhere, and one on average: components of one estimate are not independent, so that
  /// the mean of the squared scores of 128 may leave 1 by more than √(2/128).
  private func expect(_ average: EstimatorAverage, toBe expected: [Double], _ comment: String) {
    let scores = average.scores(against: expected)
    let varying = scores.filter { $0 != 0 }
    let meanSquare = dot(varying, varying) / Double(varying.count)
    #expect(scores.allSatisfy { abs($0) < 5 }, "\(comment): \(scores.map { abs($0) }.max()!) standard errors")
    #expect(meanSquare > 0.5 && meanSquare < 1.6, "\(comment): mean squared score \(meanSquare)")
  }

  @Test("Rows left out by some pairs do not change the mean", arguments: EstimatorMode.all)
  func rowMask(_ mode: EstimatorMode) throws {
    let under = try estimator(mode, streams: 2)
    let count = 5
    // Token 2 is read by both streams, 0 by the first, 4 by the second, 1 and 3 by nobody.
    under.streams = [[0, 2, 0, 0, 2, 1, 1], [4, 4, 2, 4, 4, 3, 3]]
    let model = Self.shape.reference
    var expected = Array(repeating: 0.0, count: Self.shape.parameterCount)
    for stream in 0..<2 {
      let exact = model.gradient(under.theta, under.tokens(0, count, stream: stream), from: model.zeroState)
      for i in expected.indices { expected[i] += exact[i] / Double(2 * count) }
    }
    var average = EstimatorAverage()
    for number in 0..<Self.windows {
      under.estimator.beginContext()
      under.window(number, chunks: [2, 3])
      average.add(perturbed(under.gradient, mode))
    }
    expect(average, toBe: perturbed(expected, mode), "\(mode)")
    for token in [1, 3] { #expect(average.mean[token * 12..<token * 12 + 12].allSatisfy { $0 == 0 }) }
    for token in [0, 2, 4] { #expect(average.mean[token * 12..<token * 12 + 12].allSatisfy { $0 != 0 }) }
  }

  /// Windows of 3 tokens from a zero state, lifetime 2: in the third, half of the tiles began with it, half a window
  /// before, both from the clean state.
  @Test("The mean is the gradient truncated to the lifetimes", arguments: EstimatorMode.all)
  func lifetimes(_ mode: EstimatorMode) throws {
    let under = try estimator(mode, lifetime: 2)
    let count = 3
    under.streams[0] = [0, 1, 2, 3, 4, 2, 0, 3, 1, 1]
    let model = Self.shape.reference
    let theta = under.theta
    func exact(ages: Int) -> [Double] {
      var state = model.zeroState
      let start = (2 - ages) * count
      _ = model.losses(theta, under.tokens(0, start), state: &state)
      let gradient = model.gradient(
        theta, under.tokens(start, (ages + 1) * count), from: state,
        counted: ages * count..<(ages + 1) * count)
      return perturbed(gradient.map { $0 / Double(count) }, mode)
    }
    let (young, old) = (exact(ages: 0), exact(ages: 1))
    var average = EstimatorAverage()
    for round in 0..<Self.windows {
      under.estimator.beginContext()
      for number in 0..<3 { under.window(4 * round + number, from: number * count, chunks: [count]) }
      average.add(perturbed(under.gradient, mode))
    }
    expect(average, toBe: zip(young, old).map { ($0 + $1) / 2 }, "\(mode)")
    for wrong in [young, old] {
      let worst = average.scores(against: wrong).map { abs($0) }.max()!
      #expect(worst > 8, "\(mode): the test cannot tell the lifetimes apart")
    }
  }
}
