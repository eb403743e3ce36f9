import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

/// The estimators beside CD-RGE against exact gradients. Seeds are fixed: the tests cannot fail by chance, only by change.
@Suite("Estimators from pairs")
struct EstimatorMethodTests {
  static let shape = ModelShape(vocabularySize: 5, hiddenSize: 3)
  static let deep = ModelShape(vocabularySize: 6, hiddenSize: 4, layers: 2, heads: 2)
  static let text: [UInt32] = [0, 1, 2, 3, 4, 2, 0, 3, 1, 1]
  static let pairs = 256
  /// Of an unroll: 3 windows of 3 tokens.
  static let unroll = (windows: 3, tokens: 3)

  private func estimator(
    _ mode: EstimatorMode, _ method: PopulationMethod, shape: ModelShape = Self.shape,
    pairs: Int = Self.pairs,
    lifetime: Int = 1, epsilon: Float = 0x1p-7
  ) throws -> EstimatorUnderTest {
    var configuration = CDRGE.Configuration(
      pairs: pairs, epsilon: epsilon, kind: mode.kind, exactReadout: mode.exact, lifetime: lifetime, chunk: 8,
      seed: 99)
    configuration.method = method
    let under = try EstimatorUnderTest(shape, configuration, seed: 21)
    under.streams[0] = Self.text
    return under
  }

  private func perturbed(_ vector: [Double], _ shape: ModelShape, _ mode: EstimatorMode) -> [Double] {
    mode.exact ? Array(vector[..<shape.slice(.readout).offset]) : vector
  }

  /// The exact gradient of the mean loss of window `window` with respect to weights used since window `first`.
  private func exact(_ under: EstimatorUnderTest, window: Int, since first: Int) -> [Double] {
    let (model, count) = (under.shape.reference, Self.unroll.tokens)
    var state = model.zeroState
    _ = model.losses(under.theta, under.tokens(0, first * count), state: &state)
    let ages = window - first
    let gradient = model.gradient(
      under.theta, under.tokens(first * count, (ages + 1) * count), from: state,
      counted: ages * count..<(ages + 1) * count)
    return gradient.map { $0 / Double(count) }
  }

  // MARK: jvp

  @Test(
    "jvp's slopes are the exact derivatives along the directions, back to the lifetime's start",
    arguments: EstimatorMode.all, [shape, deep])
  func tangents(_ mode: EstimatorMode, _ shape: ModelShape) throws {
    let under = try estimator(mode, .tangent, shape: shape, pairs: 40, lifetime: 2)
    let count = Self.unroll.tokens
    // Tiles are a window apart: in window 2 those with even numbers have just begun, in window 3 those with odd ones.
    for window in 0..<3 {
      under.window(window, from: window * count, chunks: [2, 1])
      for pair in 0..<40 {
        let first = window == 0 || (window + pair / 16) % 2 == 0 ? window : window - 1
        let gradient = exact(under, window: window, since: first)
        let expected = dot(gradient, under.direction(ofPair: pair))
        let slope = under.estimator.population.loss(ofPair: pair).minus / Double(count)
        let size = gradient.reduce(0) { $0 + abs($1) }
        #expect(
          abs(slope - expected) < 0x1p-20 * size, "window \(window), pair \(pair): \(slope), \(expected)")
      }
    }
  }

  @Test(
    "jvp's estimate is the mean of slope times direction, its readout exact", arguments: EstimatorMode.all)
  func tangentEstimate(_ mode: EstimatorMode) throws {
    let under = try estimator(mode, .tangent, pairs: 20)
    let result = under.window(0, chunks: [8])
    let model = Self.shape.reference
    let gradient = model.gradient(under.theta, under.tokens(0, 8), from: model.zeroState).map { $0 / 8 }
    let losses = model.loss(under.theta, under.tokens(0, 8), from: model.zeroState) / 8
    #expect(abs(result.loss - losses) < 1e-6)
    var expected = Array(repeating: 0.0, count: Self.shape.parameterCount)
    for pair in 0..<20 {
      let z = under.direction(ofPair: pair)
      let slope = dot(gradient, z) / 20
      for i in expected.indices { expected[i] += slope * z[i] }
    }
    if mode.exact {
      for i in expected.indices where Self.shape.isReadout(i) { expected[i] = gradient[i] }
    }
    let size = gradient.reduce(0) { $0 + abs($1) }
    for i in expected.indices {
      #expect(abs(Double(under.estimator.gradient[i]) - expected[i]) < 0x1p-20 * size, "parameter \(i)")
    }
  }

  @Test("As ε goes to zero cd-rge becomes jvp", arguments: EstimatorMode.all)
  func centralDifferencesBecomeTangents(_ mode: EstimatorMode) throws {
    let tangent = try estimator(mode, .tangent, pairs: 32, lifetime: 3)
    var errors: [Double] = []
    for epsilon in [Float(0x1p-3), 0x1p-5] {
      let central = try estimator(mode, .central, pairs: 32, lifetime: 3, epsilon: epsilon)
      tangent.estimator.beginContext()
      for under in [tangent, central] {
        for window in 0..<2 { under.window(window, from: 3 * window, chunks: [3]) }
      }
      let (a, b) = (
        perturbed(central.gradient, Self.shape, mode), perturbed(tangent.gradient, Self.shape, mode)
      )
      let difference = zip(a, b).map { $0 - $1 }
      errors.append((dot(difference, difference) / dot(b, b)).squareRoot())
    }
    // The error is of order ε²: a quarter of the ε, a sixteenth of the error.
    #expect(errors[0] < 0.5 && errors[1] < errors[0] / 8, "\(errors)")
  }

  // MARK: Whole unrolls

  /// Mean over `rounds` unrolls of `pairs` directions; each round has its own directions.
  private func average(
    _ under: EstimatorUnderTest, _ mode: EstimatorMode, rounds: Int
  ) -> (sum: EstimatorAverage, last: EstimatorAverage) {
    var (sum, last) = (EstimatorAverage(), EstimatorAverage())
    for round in 0..<rounds {
      under.estimator.beginContext()
      var total = Array(repeating: 0.0, count: Self.shape.parameterCount)
      for window in 0..<Self.unroll.windows {
        under.window(
          round * Self.unroll.windows + window, from: window * Self.unroll.tokens,
          chunks: [Self.unroll.tokens])
        for (i, value) in under.gradient.enumerated() { total[i] += value }
      }
      last.add(perturbed(under.gradient, Self.shape, mode))
      sum.add(perturbed(total, Self.shape, mode))
    }
    return (sum, last)
  }

  /// As in `EstimatorExpectationTests`.
  private func expect(_ average: EstimatorAverage, toBe expected: [Double], _ comment: String) {
    let scores = average.scores(against: expected)
    let varying = scores.filter { $0 != 0 }
    let meanSquare = dot(varying, varying) / Double(varying.count)
    #expect(scores.allSatisfy { abs($0) < 5 }, "\(comment): \(scores.map { abs($0) }.max()!) standard errors")
    #expect(meanSquare > 0.5 && meanSquare < 1.6, "\(comment): mean squared score \(meanSquare)")
  }

  /// 400 unrolls of 256 pairs: 102,400 directions for nres, 307,200 for pes.
  @Test(
    "The mean of nres and of pes is the exact gradient over the whole unroll", arguments: EstimatorMode.all,
    [PopulationMethod.unroll, .persistent])
  func wholeUnroll(_ mode: EstimatorMode, _ method: PopulationMethod) throws {
    let under = try estimator(mode, method)
    let gradients = (0..<Self.unroll.windows).map { exact(under, window: $0, since: 0) }
    let whole = gradients[0].indices.map { i in gradients.reduce(0) { $0 + $1[i] } }
    let (sum, last) = average(under, mode, rounds: 400)
    expect(sum, toBe: perturbed(whole, Self.shape, mode), "\(method), \(mode)")
    expect(last, toBe: perturbed(gradients[2], Self.shape, mode), "\(method), \(mode), last window")
    // And not the truncated one: the test can tell.
    let truncated = perturbed(exact(under, window: 2, since: 2), Self.shape, mode)
    #expect(last.scores(against: truncated).map { abs($0) }.max()! > 8, "\(method), \(mode)")
  }

  /// 400 estimates of 256 pairs.
  @Test(
    "The mean of cd-rge with a lifetime of one window is truncated BPTT's gradient",
    arguments: EstimatorMode.all.filter { $0.kind == .rank1 })
  func truncated(_ mode: EstimatorMode) throws {
    let under = try estimator(mode, .central)
    let (_, last) = average(under, mode, rounds: 400)
    expect(last, toBe: perturbed(exact(under, window: 2, since: 2), Self.shape, mode), "\(mode)")
    let whole = perturbed(exact(under, window: 2, since: 0), Self.shape, mode)
    #expect(last.scores(against: whole).map { abs($0) }.max()! > 8, "\(mode)")
  }

  @Test("nres keeps its directions through an unroll, pes takes new ones, and both begin anew with a context")
  func directions() throws {
    let mode = EstimatorMode(kind: .rank1, exact: true)
    func drawn(_ method: PopulationMethod) throws -> [[UInt16]] {
      let under = try estimator(mode, method, pairs: 20)
      var signs: [[UInt16]] = []
      for window in 0..<4 {
        if window == 2 { under.estimator.beginContext() }
        under.estimator.beginWindow(window)
        signs.append(under.estimator.population.signs.array)
        under.consume(from: 0, chunks: [3])
        _ = under.estimator.finishWindow(tokens: 3)
      }
      return signs
    }
    let kept = try drawn(.unroll)
    #expect((kept[0] == kept[1] && kept[2] == kept[3] && kept[0] != kept[2]) as Bool)
    let new = try drawn(.persistent)
    #expect((Set(new).count == 4) as Bool)
  }
}
