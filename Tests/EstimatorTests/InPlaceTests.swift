import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

/// The regime of one copy against the one with a gradient and an optimizer.
@Suite("Updates in place")
struct InPlaceTests {
  static let shapes = [
    ModelShape(vocabularySize: 5, hiddenSize: 3), ModelShape(vocabularySize: 14, hiddenSize: 5, layers: 2),
    ModelShape(vocabularySize: 61, hiddenSize: 40, layers: 3, heads: 5),
    ModelShape(vocabularySize: 30, hiddenSize: 102, layers: 2, heads: 3),
    ModelShape(vocabularySize: 7, hiddenSize: 2304, heads: 96),  // a readout wider than a panel
    ModelShape(vocabularySize: 3, hiddenSize: 380),  // more rows than a job has
  ]

  private func configuration(_ inPlace: Bool, step: StepRule = .gradient) -> CDRGE.Configuration {
    var c = CDRGE.Configuration(
      pairs: 20, epsilon: 0.05, exactReadout: false, streams: 4, chunk: 8, seed: 17)
    c.inPlace = inPlace
    c.step = step
    return c
  }

  private func tokens(_ shape: ModelShape) -> [UInt32] {
    var random = ModelRandom(3)
    return random.tokens(4 * 9, vocabulary: shape.vocabularySize)
  }

  private func window(_ estimator: CDRGE, _ number: Int, _ tokens: [UInt32]) -> CDRGE.WindowResult {
    estimator.beginWindow(number)
    estimator.consume(tokens, stride: 9, count: 8)
    return estimator.finishWindow(tokens: 8)
  }

  /// The packed weights after one window of either regime.
  private func train(_ shape: ModelShape, inPlace: Bool, threads: Int = 2) throws -> [Float] {
    let (ledger, pool) = (MemoryLedger(), try ThreadPool(threads: threads))
    let estimator = try CDRGE(shape, configuration(inPlace), pool: pool, ledger: ledger)
    let (rate, decay): (Float, Float) = (0.3, 0.01)
    let tokens = tokens(shape)
    if inPlace {
      estimator.weights.initialize(seed: 5, Initialization(tokenScale: 0.7), on: pool)
      #expect(window(estimator, 0, tokens).hasGradient)
      estimator.descend(rate: rate, decay: decay)
    } else {
      let parameters = try Parameters(shape, ledger: ledger)
      let sgd = Optimizer.Configuration(kind: .sgd, momentum: 0, weightDecay: Double(decay))
      let optimizer = try Optimizer(shape, sgd, ledger: ledger)
      parameters.initialize(seed: 5, Initialization(tokenScale: 0.7))
      estimator.take(parameters)
      #expect(window(estimator, 0, tokens).hasGradient)
      optimizer.update(parameters, gradient: estimator.gradient, rate: rate, on: pool)
      estimator.take(parameters)
    }
    return estimator.weights.copy
  }

  @Test("An update is that of the shared regime with sgd", arguments: shapes)
  func sameUpdate(_ shape: ModelShape) throws {
    let (one, other) = (try train(shape, inPlace: true), try train(shape, inPlace: false))
    #expect(one.count == other.count)
    // Table and bias are rounded together here and apart there, and a product of 20 pairs may be summed in another order: an ulp
    // for each of 26 roundings of values no larger than the largest weight.
    let largest = other.reduce(0.0) { max($0, $1 < -1e29 ? 0 : abs(Double($1))) }
    let tolerance = 26 * 0x1p-23 * largest
    let worst = zip(one, other).reduce(0.0) { max($0, abs(Double($1.0) - Double($1.1))) }
    #expect(worst <= tolerance, "\(shape): off by \(worst)")
    expectSame(try train(shape, inPlace: true, threads: 1), one, "the threads have changed bits")
  }

  @Test("Weights are made where they lie as Parameters makes them", arguments: shapes)
  func initialWeights(_ shape: ModelShape) throws {
    let (ledger, pool) = (MemoryLedger(), try ThreadPool(threads: 2))
    let layout = Layout(shape, kind: .rank1, exactReadout: false)
    let parameters = try Parameters(shape, ledger: ledger)
    let (packed, made) = (
      try PackedWeights(layout, ledger: ledger), try PackedWeights(layout, ledger: ledger)
    )
    for scale: Float? in [nil, 1.5] {
      parameters.initialize(seed: 9, Initialization(tokenScale: scale))
      packed.pack(parameters, on: pool)
      made.initialize(seed: 9, Initialization(tokenScale: scale), on: pool)
      expectSame(made.copy, packed.copy)
    }
  }

  @Test("States that nobody asks for again need not be carried", arguments: shapes)
  func transientStates(_ shape: ModelShape) throws {
    let pool = try ThreadPool(threads: 2)
    func losses(carried: Bool) throws -> [UInt64] {
      var c = configuration(true)
      c.carriesStates = carried
      let ledger = MemoryLedger()
      let estimator = try CDRGE(shape, c, pool: pool, ledger: ledger)
      #expect(ledger.snapshot().current == CDRGE.byteCount(for: shape, c, threads: 2))
      estimator.weights.initialize(seed: 5, on: pool)
      var bits: [UInt64] = []
      for number in 0..<3 {
        estimator.beginContext()
        bits.append(window(estimator, number, tokens(shape)).loss.bitPattern)
        estimator.descend(rate: 0.1, decay: 0)
      }
      return bits
    }
    #expect(try losses(carried: true) == losses(carried: false))
  }

  @Test("Polyak's step is the estimate times L over the mean square of the slopes")
  func polyak() throws {
    let shape = Self.shapes[2]
    let pool = try ThreadPool(threads: 1)
    func gradient(_ step: StepRule) throws -> (values: [Double], loss: Double, fall: Double) {
      let ledger = MemoryLedger()
      let estimator = try CDRGE(shape, configuration(false, step: step), pool: pool, ledger: ledger)
      let parameters = try Parameters(shape, ledger: ledger)
      parameters.initialize(seed: 5)
      estimator.take(parameters)
      let result = window(estimator, 0, tokens(shape))
      let slopes = (0..<20).map { pair -> Double in
        let loss = estimator.population.loss(ofPair: pair)
        return (loss.plus - loss.minus) / (2 * 0.05 * 8)
      }
      return (
        estimator.gradient.array.map(Double.init), result.loss, slopes.reduce(0) { $0 + $1 * $1 } / 20
      )
    }
    let (plain, scaled) = (try gradient(.gradient), try gradient(.polyak))
    let factor = plain.loss / plain.fall
    let largest = plain.values.map(abs).max()!
    for (a, b) in zip(plain.values, scaled.values) {
      // 20 terms, each coefficient rounded once more.
      #expect(abs(factor * a - b) <= 24 * 0x1p-23 * factor * largest)
    }
    #expect(factor > 1.5 || factor < 0.5, "the test would not see a missing factor")
  }
}

extension PackedWeights {
  /// All of them, padding included.
  fileprivate var copy: [Float] { elements.map { $0 } }
}
