import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

@Suite("Coefficients and sums of one window")
struct EstimatorCoefficientTests {
  static let shapes = [
    ModelShape(vocabularySize: 5, hiddenSize: 3), ModelShape(vocabularySize: 14, hiddenSize: 5, layers: 2),
    ModelShape(vocabularySize: 1, hiddenSize: 4),
    ModelShape(vocabularySize: 6, hiddenSize: 8, layers: 2, heads: 2),
  ]

  private func configuration(
    _ mode: EstimatorMode, pairs: Int, epsilon: Float, streams: Int = 1, lifetime: Int = 1
  ) -> CDRGE.Configuration {
    CDRGE.Configuration(
      pairs: pairs, epsilon: epsilon, kind: mode.kind, exactReadout: mode.exact, lifetime: lifetime,
      streams: streams, chunk: 8, seed: 11)
  }

  @Test("(L₊ − L₋)/2ε is z·∇L, up to ε² and the rounding", arguments: shapes, EstimatorMode.all)
  func directionalDerivative(_ shape: ModelShape, _ mode: EstimatorMode) throws {
    let (pairs, count, epsilon) = (16, 6, 0x1p-6)
    let under = try EstimatorUnderTest(
      shape, configuration(mode, pairs: pairs, epsilon: Float(epsilon)), seed: 1)
    under.window(0, chunks: [count])
    let model = shape.reference
    let (theta, tokens) = (under.theta, under.tokens(0, count))
    let f = { (x: [Double]) in model.loss(x, tokens, from: model.zeroState) / Double(count) }
    let gradient = model.gradient(theta, tokens, from: model.zeroState).map { $0 / Double(count) }
    // A loss is wrong by at most an ulp for each of its sums; two losses over 2ε.
    let sums = count * shape.layers * (4 * shape.hiddenSize + 6) + shape.vocabularySize
    let rounding = 2 * Double(sums) * 0x1p-23 / (epsilon * Double(count))
    var truncation = [0.0, 0.0]
    for pair in 0..<pairs {
      let z = under.direction(ofPair: pair)
      let slope = dot(gradient, z)
      let differences = [epsilon, epsilon / 2].map { centralDifference(f, at: theta, along: z, epsilon: $0) }
      for i in 0..<2 { truncation[i] += abs(differences[i] - slope) }
      let measured = under.coefficient(ofPair: pair, tokens: count)
      #expect(abs(measured - differences[0]) <= rounding, "pair \(pair)")
      #expect(abs(measured - slope) <= rounding + abs(differences[0] - slope), "pair \(pair)")
    }
    if shape.vocabularySize > 1 {
      #expect(abs(truncation[0] / truncation[1] - 4) < 0.2, "the error is not of second order: \(truncation)")
      #expect(truncation[0] / Double(pairs) < 2e-3, "\(truncation)")
    }
  }

  /// For each pair the tokens that it has read in windows of these starts.
  private func expectedSum(
    _ under: EstimatorUnderTest, _ mode: EstimatorMode, count: Int, readFrom: [Int]
  ) -> (sum: [Double], size: [Double]) {
    let pairs = under.estimator.configuration.pairs
    let gates = 4 * under.shape.hiddenSize
    let table = under.shape.slice(.table).range
    var sum = Array(repeating: 0.0, count: under.shape.parameterCount)
    var size = sum
    for pair in 0..<pairs {
      let stream = under.estimator.population.stream(ofPair: pair)
      let read = Set(readFrom.flatMap { under.tokens($0, count - 1, stream: stream) })
      let z = under.direction(ofPair: pair)
      let c = under.coefficient(ofPair: pair, tokens: count) / Double(pairs)
      for i in 0..<sum.count where !table.contains(i) || read.contains(i / gates) {
        sum[i] += c * z[i]
        size[i] += abs(c) * (mode.kind == .gaussian ? 6 : 1)
      }
    }
    return (sum, size)
  }

  @Test(
    "The estimate is Σ c·z, without the rows that a pair has not read", arguments: shapes, EstimatorMode.all)
  func sums(_ shape: ModelShape, _ mode: EstimatorMode) throws {
    for (pairs, streams) in [(1, 1), (5, 2), (16, 1), (40, 7), (70, 70)] {
      let under = try EstimatorUnderTest(
        shape, configuration(mode, pairs: pairs, epsilon: 0.125, streams: streams, lifetime: 1000), seed: 5)
      let count = 3
      for (number, starts) in [(0, [0]), (1, [0, 3]), (2, [0, 3, 6])] {
        under.window(number, from: starts.last!, chunks: [count])
        let (expected, size) = expectedSum(under, mode, count: count, readFrom: starts)
        let actual = under.gradient
        for i in 0..<actual.count where !(mode.exact && shape.isReadout(i)) {
          // A product and a sum a pair, each wrong by half an ulp; the coefficients are rounded once. Normal entries, as large
          // as 6, are off by some roundings of radius and angle.
          let tolerance = Double(pairs + (mode.kind == .gaussian ? 18 : 2)) * 0x1p-24 * size[i]
          #expect(
            abs(actual[i] - expected[i]) <= tolerance, "parameter \(i), window \(number), \(pairs) pairs")
        }
      }
    }
  }

  @Test("Rows of the table that nobody has read get nothing", arguments: EstimatorMode.all)
  func unread(_ mode: EstimatorMode) throws {
    let shape = ModelShape(vocabularySize: 130, hiddenSize: 3)
    let under = try EstimatorUnderTest(
      shape, configuration(mode, pairs: 20, epsilon: 0.1, streams: 2), seed: 7)
    under.streams[0] = under.streams[0].map { $0 % 3 }
    under.streams[1] = under.streams[1].map { 125 + $0 % 3 }
    under.window(0, chunks: [8])
    let read = Set((under.tokens(0, 7, stream: 0) + under.tokens(0, 7, stream: 1)))
    for token in 0..<130 {
      let row = under.gradient[token * 12..<token * 12 + 12]
      if read.contains(token) {
        #expect(row.contains { $0 != 0 }, "token \(token)")
      } else {
        #expect(row.allSatisfy { $0 == 0 }, "token \(token)")
      }
    }
  }

  @Test(
    "The exact readout's gradient is the reference's, however a window is cut", arguments: shapes,
    DirectionKind.allCases)
  func exactReadout(_ shape: ModelShape, _ kind: DirectionKind) throws {
    let mode = EstimatorMode(kind: kind, exact: true)
    let (count, epsilon) = (6, Float(0x1p-10))
    let model = shape.reference
    let first = shape.slice(.readout).offset
    var whole: [Double] = []
    for chunks in [[6], [1, 5], [2, 2, 2], [5, 1]] {
      let under = try EstimatorUnderTest(
        shape, configuration(mode, pairs: 20, epsilon: epsilon, streams: 2), seed: 13)
      under.window(0, chunks: chunks)
      let actual = Array(under.gradient[first...])
      var expected = Array(repeating: 0.0, count: actual.count)
      for stream in 0..<2 {
        let exact = model.gradient(under.theta, under.tokens(0, count, stream: stream), from: model.zeroState)
        for i in expected.indices { expected[i] += exact[first + i] / Double(2 * count) }
      }
      // The means over ±ε are those of the model up to ε²/2·zᵀ(second derivative)z, with ‖z‖² = d.
      let tolerance = Double(epsilon * epsilon) * Double(shape.parameterCount) + 240 * 0x1p-24
      for i in expected.indices { #expect(abs(actual[i] - expected[i]) <= tolerance, "\(chunks), \(i)") }
      if whole.isEmpty { whole = actual }
      for i in expected.indices {
        // Sums of 120 products of at most 1, divided by 120.
        #expect(abs(actual[i] - whole[i]) <= 120 * 0x1p-24, "\(chunks), \(i)")
      }
    }
  }

  @Test("The window's loss is the mean over all columns and tokens")
  func loss() throws {
    let shape = Self.shapes[0]
    let under = try EstimatorUnderTest(
      shape, configuration(EstimatorMode.all[0], pairs: 21, epsilon: 0x1p-10), seed: 17)
    let result = under.window(0, chunks: [4, 3])
    let model = shape.reference
    let expected = model.loss(under.theta, under.tokens(0, 7), from: model.zeroState) / 7
    #expect(abs(result.loss - expected) < Double(shape.parameterCount) * 0x1p-20 + 1e-5)
    #expect(result.hasGradient && result.brokenPairs == 0)
  }
}
