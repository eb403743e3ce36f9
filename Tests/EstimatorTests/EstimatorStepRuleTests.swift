import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

@Suite("Lengths of steps")
struct EstimatorStepRuleTests {
  private func rescaled(_ rule: StepRule, _ slopes: [Double], loss: Double = 2) -> (
    slopes: [Double], scale: StepRule.Scale
  ) {
    let n = Double(slopes.count)
    var coefficients = slopes.map { Float($0 / n) }
    let scale = coefficients.withUnsafeMutableBufferPointer {
      rule.rescale($0.baseAddress!, pairs: slopes.count, loss: loss)
    }
    return (coefficients.map { Double($0) * n }, scale)
  }

  private func isClose(_ a: [Double], _ b: [Double]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) <= 1e-6 * max(1, abs($1)) }
  }

  @Test("gradient leaves slopes alone, polyak makes their mean square the loss's") func plain() {
    let slopes = [1.0, -2, 0.5, 4]
    let same = rescaled(.gradient, slopes)
    #expect(isClose(same.slopes, slopes) && same.scale.factor == 1 && same.scale.clipped == nil)
    // L/‖∇L‖² with ‖∇L‖² = mean s².
    let polyak = rescaled(.polyak, slopes, loss: 3)
    #expect(isClose(polyak.slopes, slopes.map { $0 * 3 / (21.25 / 4) }))
    #expect(polyak.scale.clipped == nil)
  }

  @Test("normalized: slopes over σ, whatever the loss's unit", arguments: [1.0, 1e-4, 1e5]) func normalized(
    unit: Double
  ) {
    let slopes = [1.0, -2, 0.5, 4].map { $0 * unit }
    let sigma = (21.25 / 4).squareRoot() * unit
    let result = rescaled(.normalized, slopes)
    #expect(isClose(result.slopes, slopes.map { $0 / sigma }))
    #expect(abs(result.scale.factor * sigma - 1) < 1e-6 && result.scale.clipped == nil)
  }

  @Test("clipped: the same, and nothing beyond ±2σ") func clipped() {
    let slopes = Array(repeating: 1.0, count: 30) + [-30, 20]
    let sigma = (1330.0 / 32).squareRoot()
    let result = rescaled(.clipped, slopes)
    #expect(result.scale.clipped == 2)
    #expect(isClose(result.slopes, slopes.map { max(-2, min(2, $0 / sigma)) }))
    #expect(rescaled(.clipped, [1, -1, 1]).scale.clipped == 0)
  }

  @Test("Slopes that are all 0 make no step", arguments: [StepRule.polyak, .normalized, .clipped])
  func flat(_ rule: StepRule) {
    let result = rescaled(rule, [0, 0, 0])
    // Nothing is left that an exact readout's gradient would have to be measured by.
    #expect(result.slopes == [0, 0, 0] && result.scale.factor == (rule == .polyak ? 0 : 1))
    // Next to nothing: no factor that floats cannot hold.
    for slope in [1e-40, 1e-44] {
      let faint = rescaled(rule, [slope, -slope, slope], loss: 1)
      #expect(faint.slopes.allSatisfy(\.isFinite) && Float(faint.scale.factor).isFinite)
    }
  }

  @Test("Where no pair tells anything, an exact readout learns as it does without a rule")
  func readoutWithoutSpread() throws {
    func gradient(_ rule: StepRule) throws -> [Float] {
      var c = CDRGE.Configuration(pairs: 16, epsilon: 1e-30, exactReadout: true, chunk: 8, seed: 4)
      c.step = rule
      let estimator = try EstimatorUnderTest(ModelShape(vocabularySize: 6, hiddenSize: 4), c, seed: 8)
      _ = estimator.window(0, chunks: [4])
      return estimator.gradient.map { Float($0) }
    }
    let plain = try gradient(.gradient)
    #expect(plain.contains { $0 != 0 })
    for rule in [StepRule.normalized, .clipped] { #expect(try gradient(rule) == plain) }
  }

  @Test(
    "The whole estimate is divided, and the meters are those of the estimate itself",
    arguments: EstimatorMode.all)
  func wholeEstimate(_ mode: EstimatorMode) throws {
    var c = CDRGE.Configuration(
      pairs: 20, epsilon: 0.1, kind: mode.kind, exactReadout: mode.exact, chunk: 8, seed: 4)
    let shape = ModelShape(vocabularySize: 6, hiddenSize: 4)
    let plain = try EstimatorUnderTest(shape, c, seed: 8)
    let meters = plain.window(0, chunks: [4]).meters
    let slopes = (0..<20).map { plain.coefficient(ofPair: $0, tokens: 4) }
    let sigma = (slopes.reduce(0) { $0 + $1 * $1 } / 20).squareRoot()
    c.step = .normalized
    let scaled = try EstimatorUnderTest(shape, c, seed: 8)
    let other = scaled.window(0, chunks: [4]).meters
    for (a, b) in zip(plain.gradient, scaled.gradient) { #expect(abs(a / sigma - b) < 1e-4) }
    #expect(abs(other.estimateSquare! / meters.estimateSquare! - 1) < 1e-4)
    #expect((other.signalSquare != nil) == mode.kind.hasFixedLength)
    if let a = other.signalSquare, let b = meters.signalSquare {
      #expect(abs(a - b) < 1e-4 * meters.estimateSquare!)
    }
    c.step = .clipped
    let clipped = try EstimatorUnderTest(shape, c, seed: 8).window(0, chunks: [4]).meters
    #expect(clipped.clippedPairs == slopes.count { abs($0) > 2 * sigma })
  }
}
