import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

@Suite("Meters of the estimate")
struct EstimatorMetersTests {
  static let shape = ModelShape(vocabularySize: 9, hiddenSize: 5, layers: 2)

  /// A direction without the rows of the table that its pair has not read.
  private func searchedDirection(_ under: EstimatorUnderTest, pair: Int) -> [Double] {
    var direction = under.direction(ofPair: pair)
    let table = under.shape.slice(.table)
    let seen = under.estimator.population.seen.array
    for row in 0..<table.rows
    where seen[pair / 16 * under.shape.vocabularySize + row] >> UInt16(pair % 16) & 1 == 0 {
      for i in 0..<table.columns { direction[table.offset + row * table.columns + i] = 0 }
    }
    return direction
  }

  private func configuration(
    _ mode: EstimatorMode, pairs: Int, streams: Int, epsilon: Float = 0.1
  ) -> CDRGE.Configuration {
    CDRGE.Configuration(
      pairs: pairs, epsilon: epsilon, kind: mode.kind, exactReadout: mode.exact, lifetime: 2,
      streams: streams, chunk: 8, seed: 4)
  }

  @Test(
    "‖ĝ‖², the signal and d are those of all pairs of pairs, one by one",
    arguments: EstimatorMode.all, [(2, 1), (21, 3), (40, 40)])
  func signal(_ mode: EstimatorMode, _ size: (pairs: Int, streams: Int)) throws {
    let (pairs, streams) = size
    let under = try EstimatorUnderTest(
      Self.shape, configuration(mode, pairs: pairs, streams: streams), threads: 2, seed: 8)
    under.window(0, chunks: [3])
    under.estimator.beginWindow(1)
    under.consume(from: 3, chunks: [4])
    let slopes = (0..<pairs).map { under.coefficient(ofPair: $0, tokens: 4) }
    let meters = under.estimator.finishWindow(tokens: 4).meters
    let directions = (0..<pairs).map { searchedDirection(under, pair: $0) }
    func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    let n = Double(pairs)
    var (square, cross) = (0.0, 0.0)
    for p in 0..<pairs {
      for q in 0..<pairs {
        let term = slopes[p] * slopes[q] * dot(directions[p], directions[q])
        square += term / (n * n)
        if p != q { cross += term / (n * (n - 1)) }
      }
    }
    // Entries that are not zero; of signs that is the squared length.
    let searched = directions.reduce(0.0) { $0 + Double($1.count { $0 != 0 }) } / n
    #expect(meters.pairs == pairs && meters.lostPairs == 0 && meters.clippedPairs == nil)
    #expect(meters.searched == searched)
    let measured = try #require(meters.estimateSquare)
    #expect(abs(measured - square) <= 1e-5 * square)
    guard mode.kind.hasFixedLength else {
      #expect(meters.signalSquare == nil)
      return
    }
    #expect(abs(try #require(meters.signalSquare) - cross) <= 2e-5 * square)
  }

  @Test("The signal is the exact gradient's square in expectation, the cosine theory's")
  func expectation() throws {
    let tokens = 6
    var c = configuration(
      EstimatorMode(kind: .rank1, exact: false), pairs: 64, streams: 1, epsilon: 0x1p-8)
    c.lifetime = 1
    let under = try EstimatorUnderTest(Self.shape, c, seed: 8)
    let exact = try BPTT(
      Self.shape, .init(streams: 1, window: tokens), pool: under.pool, ledger: MemoryLedger())
    exact.take(under.parameters)
    exact.beginWindow(0)
    under.streams[0].withUnsafeBufferPointer {
      exact.consume($0.baseAddress!, stride: $0.count, count: tokens)
    }
    _ = exact.finishWindow(tokens: tokens)
    let truth = exact.gradient.array.reduce(0.0) { $0 + Double($1) * Double($1) }
    var (signal, squares, estimate, searched) = (0.0, 0.0, 0.0, 0.0)
    let draws = 600
    for draw in 0..<draws {
      under.estimator.beginContext()
      let meters = under.window(draw, chunks: [tokens]).meters
      signal += meters.signalSquare! / Double(draws)
      squares += meters.signalSquare! * meters.signalSquare! / Double(draws)
      estimate += meters.estimateSquare! / Double(draws)
      searched += meters.searched! / Double(draws)
    }
    let error = ((squares - signal * signal) / Double(draws)).squareRoot()
    #expect(error < 0.1 * truth)
    #expect(abs(signal - truth) < 4.5 * error, "\(signal) for \(truth) ± \(error)")
    let theory = 64 / (64 + searched - 1)
    #expect(abs(truth / estimate - theory) < 0.1 * theory, "\(truth / estimate) for \(theory)")
  }

  @Test("States: the ratio is the plain one, and who is beyond the bound goes back", arguments: [1, 20])
  func divergence(streams: Int) throws {
    var c = configuration(EstimatorMode(kind: .rank1, exact: true), pairs: 20, streams: streams)
    c.lifetime = 100
    let free = try EstimatorUnderTest(Self.shape, c, seed: 8)
    let ratio = try #require(free.window(0, chunks: [5]).meters.divergence)
    let population = free.estimator.population
    let before = population.states.array
    let half = before.count / 2 / (2 * 2 * 32)  // units of a layer, padded
    func column(_ states: [Float], _ pair: Int, _ sign: Int) -> [Double] {
      (0..<4 * half).map { Double(states[(pair / 16 * 4 * half + $0) * 32 + sign * 16 + pair % 16]) }
    }
    func sums(_ pair: Int) -> (apart: Double, square: Double) {
      let (plus, minus) = (column(before, pair, 0), column(before, pair, 1))
      // h of the first layer, its c, h of the second.
      let h = Array(0..<half) + Array(2 * half..<3 * half)
      return h.reduce((0, 0)) {
        (
          $0.0 + (plus[$1] - minus[$1]) * (plus[$1] - minus[$1]),
          $0.1 + (plus[$1] * plus[$1] + minus[$1] * minus[$1]) / 2
        )
      }
    }
    let all = (0..<20).map(sums)
    let plain = (all.reduce(0) { $0 + $1.apart } / all.reduce(0) { $0 + $1.square }).squareRoot()
    #expect(abs(ratio - plain) < 1e-5)

    let ratios = all.map { ($0.apart / $0.square).squareRoot() }
    c.maxDivergence = Float(ratios.sorted()[12]) + 1e-4
    let bound = try EstimatorUnderTest(Self.shape, c, seed: 8)
    let meters = bound.window(0, chunks: [5]).meters
    #expect(meters.returnedPairs == 7 && meters.divergence == ratio)
    let after = bound.estimator.population.states.array
    let sound = (0..<20).filter { ratios[$0] < Double(c.maxDivergence) }
    for pair in 0..<20 {
      guard !sound.contains(pair) else {
        for sign in 0...1 { #expect(column(after, pair, sign) == column(before, pair, sign)) }
        continue
      }
      let sources = streams == 1 ? sound : [pair]
      for i in 0..<4 * half {
        let mean =
          sources.reduce(0.0) { $0 + column(before, $1, 0)[i] + column(before, $1, 1)[i] }
          / Double(2 * sources.count)
        #expect(
          abs(column(after, pair, 0)[i] - mean) < 1e-5
            && column(after, pair, 0)[i] == column(after, pair, 1)[i])
      }
    }
    c.maxDivergence = 0
    #expect(try EstimatorUnderTest(Self.shape, c, seed: 8).window(0, chunks: [5]).meters.returnedPairs == 0)
  }

  @Test("In place the states are measured, and no estimate is there to be")
  func inPlace() throws {
    var c = configuration(EstimatorMode(kind: .rank1, exact: false), pairs: 20, streams: 1)
    c.inPlace = true
    let meters = try EstimatorUnderTest(Self.shape, c, seed: 8).window(0, chunks: [5]).meters
    #expect(meters.divergence! > 0 && meters.searched! > 0)
    #expect(meters.estimateSquare == nil && meters.signalSquare == nil)
    c.carriesStates = false
    let blind = try EstimatorUnderTest(Self.shape, c, seed: 8).window(0, chunks: [5]).meters
    #expect(blind.divergence == nil && blind.returnedPairs == nil && blind.searched == meters.searched)
  }

  @Test(
    "The last update's norm is how far the weights went", arguments: OptimizerKind.allCases, [0, Float(0.3)])
  func updateNorm(_ kind: OptimizerKind, decay: Float) throws {
    let ledger = MemoryLedger()
    let pool = try ThreadPool(threads: 1)
    let parameters = try Parameters(Self.shape, ledger: ledger)
    parameters.initialize(seed: 3)
    let optimizer = try Optimizer(
      Self.shape, .init(kind: kind, weightDecay: Double(decay)), ledger: ledger)
    #expect(optimizer.lastUpdateNorm(parameters, rate: 0.1) == 0)
    let gradient = try Buffer<Float>(
      count: Self.shape.parameterCount, .perturbations, for: "a gradient", ledger: ledger)
    var random = ModelRandom(5)
    for _ in 0..<4 {
      for i in 0..<gradient.count { gradient[i] = Float(random.unit()) }
      let before = parameters.values.array
      optimizer.update(parameters, gradient: gradient, rate: 0.1, on: pool)
      let square = zip(before, parameters.values.array).reduce(0.0) {
        $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1)
      }
      let norm = optimizer.lastUpdateNorm(parameters, rate: 0.1)
      #expect(abs(norm - square.squareRoot()) < 1e-4 * square.squareRoot())
    }
  }
}
