import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

private typealias HybridUnderTest = UnderTest<Hybrid>

extension UnderTest where Estimator == Hybrid {
  /// On two streams.
  fileprivate convenience init(
    _ shape: ModelShape, pairs: Int = 256, kind: DirectionKind = .rank1, lifetime: Int, momentum: Float = 0,
    threads: Int = 1
  ) throws {
    let c = Self.configuration(pairs: pairs, kind: kind, lifetime: lifetime, momentum: momentum)
    try self.init(shape, streams: 2, threads: threads) {
      try Hybrid(shape, c, pool: $0, ledger: $1)
    }
  }

  fileprivate static func configuration(pairs: Int, kind: DirectionKind, lifetime: Int, momentum: Float)
    -> Hybrid.Configuration
  {
    Hybrid.Configuration(
      exact: BPTT.Configuration(streams: 2, window: 8), pairs: pairs, epsilon: 0x1p-7, kind: kind,
      lifetime: lifetime, momentum: momentum, chunk: 8, seed: 99)
  }

  /// Of the mean loss of the window after `windows` windows of `count` tokens, credit reaching `ages` windows back.
  fileprivate func exact(after windows: Int, ages: Int, count: Int) -> [Double] {
    let model = shape.reference
    var sum = [Double](repeating: 0, count: shape.parameterCount)
    for row in streams {
      let text = row.map(Int.init)
      var state = model.zeroState
      let start = (windows - ages) * count
      _ = model.losses(theta, Array(text[0...start]), state: &state)
      let gradient = model.gradient(
        theta, Array(text[start...start + (ages + 1) * count]), from: state,
        counted: ages * count..<(ages + 1) * count)
      for i in sum.indices { sum[i] += gradient[i] / Double(2 * count) }
    }
    return sum
  }
}

/// The hybrid estimate against exact gradients over more than a window. Seeds are fixed.
@Suite("Exact in the window, random directions beyond it")
struct HybridTests {
  static let shape = ModelShape(vocabularySize: 5, hiddenSize: 3)
  static let count = 3

  /// Lifetime 2: in the third window half of the tiles began a window before it, and half with it, which then have no
  /// displacement and add nothing.
  @Test(
    "The mean of 400 × 256 pairs is the exact gradient over the lifetimes",
    arguments: DirectionKind.allCases, [1, 2])
  func expectation(_ kind: DirectionKind, layers: Int) throws {
    let shape = ModelShape(vocabularySize: 5, hiddenSize: 3, layers: layers)
    let under = try HybridUnderTest(shape, kind: kind, lifetime: 2)
    let (young, old) = (
      under.exact(after: 2, ages: 0, count: Self.count), under.exact(after: 2, ages: 1, count: Self.count)
    )
    var average = EstimatorAverage()
    let end = shape.slice(.readout).offset
    for round in 0..<400 {
      under.estimator.beginContext()
      for number in 0..<3 {
        under.window(4 * round + number, from: number * Self.count, chunks: number == 1 ? [1, 2] : [3])
      }
      average.add(Array(under.gradient[..<end]))
    }
    let expected = zip(young, old).map { ($0 + $1) / 2 }
    let scores = average.scores(against: Array(expected[..<end])).filter { $0.isFinite }
    let worst = scores.map { abs($0) }.max()!
    let meanSquare = dot(scores, scores) / Double(scores.filter { $0 != 0 }.count)
    #expect(worst < 5, "\(kind): \(worst) standard errors")
    #expect(meanSquare > 0.5 && meanSquare < 1.6, "\(kind): mean squared score \(meanSquare)")
    for wrong in [young, old] {
      let worst = average.scores(against: Array(wrong[..<end])).filter(\.isFinite).map { abs($0) }.max()!
      #expect(worst > 8, "\(kind): the test cannot tell the lifetimes apart")
    }
    // What the readout learns lies in the window: exact, and the same every time.
    for (a, b) in zip(under.gradient[end...], expected[end...]) { #expect(abs(a - b) < 1e-5) }
  }

  @Test("The first window is truncated back-propagation to the bit", arguments: [0, 0.9] as [Float])
  func firstWindow(momentum: Float) throws {
    let under = try HybridUnderTest(Self.shape, lifetime: 4, momentum: momentum)
    let plain = try BPTT(
      Self.shape, under.estimator.configuration.exact, pool: try ThreadPool(threads: 1),
      ledger: MemoryLedger())
    plain.take(under.parameters)
    plain.beginWindow(0)
    let flat = under.streams.flatMap { $0 }
    flat.withUnsafeBufferPointer { plain.consume($0.baseAddress!, stride: 64, count: 5) }
    let result = plain.finishWindow(tokens: 5)
    #expect(under.window(0, from: 0, chunks: [5]).loss == result.loss)
    // −0 becomes 0 where nothing is added to it.
    let values = plain.gradient.array
    #expect(zip(under.estimator.exact.gradient.array, values).allSatisfy { $0 == $1 })
  }

  @Test("The mean is shrunk to what the halves agree on: all of a signal, nothing of noise")
  func shrinkage() throws {
    let shape = ModelShape(vocabularySize: 7, hiddenSize: 40)
    let count = shape.slice(.readout).offset
    let pool = try ThreadPool(threads: 2)
    for signal in [0, 1] as [Double] {
      let mean = try LongRangeMean(shape, momentum: 0.9, ledger: MemoryLedger())
      var random = ModelRandom(3)
      let truth = (0..<count).map { _ in signal * random.unit() }
      for _ in 0..<60 {
        for half in 0..<2 {
          mean.add(truth.map { Float($0 + 0.1 * random.unit()) }, half: half, on: pool)
        }
      }
      var gradient = [Float](repeating: 0, count: count)
      gradient.withUnsafeMutableBufferPointer { mean.add(to: $0.baseAddress!, on: pool) }
      if signal > 0 {
        #expect(mean.agreement.allSatisfy { $0 > 0.99 }, "\(mean.agreement)")
        #expect(zip(gradient, truth).allSatisfy { abs(Double($0) - $1) < 0.1 })
      } else {
        #expect(mean.agreement.allSatisfy { $0 < 0.2 }, "\(mean.agreement)")
      }
    }
  }

  @Test("Marked targets: a window without any leaves no gradient and carries the states")
  func marks() throws {
    let under = try HybridUnderTest(Self.shape, pairs: 32, lifetime: 4)
    under.streams = under.streams.map { $0.map { $0 | 1 << 31 } }
    let result = under.window(0, from: 0, chunks: [4])
    #expect(!result.hasGradient && result.refusal == nil)
    under.streams = under.streams.map { $0.map { $0 & TokenMark.id } }
    #expect(under.window(1, from: 4, chunks: [4]).hasGradient)
  }
}
