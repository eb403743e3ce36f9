import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

@Suite("Same seed, same bits")
struct EstimatorDeterminismTests {
  /// Several panels of every product, several tiles, a last tile that is not full.
  static let shape = ModelShape(vocabularySize: 130, hiddenSize: 20, layers: 2)

  private func estimator(
    _ mode: EstimatorMode, _ method: PopulationMethod = .central, threads: Int, seed: UInt64 = 3
  ) throws -> EstimatorUnderTest {
    var configuration = CDRGE.Configuration(
      pairs: 53, epsilon: 0.05, kind: mode.kind, exactReadout: mode.exact, lifetime: 3, streams: 5, chunk: 8,
      seed: seed)
    configuration.method = method
    return try EstimatorUnderTest(Self.shape, configuration, threads: threads, seed: 31)
  }

  /// Windows with updates between them; the bits of every gradient and of the parameters at the end.
  private func train(_ under: EstimatorUnderTest) throws -> [[UInt32]] {
    let configuration = Optimizer.Configuration(kind: .adam)
    let optimizer = try Optimizer(
      Self.shape, configuration, ledger: MemoryLedger())
    var bits: [[UInt32]] = []
    for number in 0..<5 {
      under.window(number, from: 11 * number, chunks: [8, 3])
      optimizer.update(under.parameters, gradient: under.estimator.gradient, rate: 0.01, on: under.pool)
      under.estimator.take(under.parameters)
      bits.append(under.gradientBits)
    }
    bits.append(under.parameters.values.array.map(\.bitPattern))
    return bits
  }

  @Test(
    "The number of threads does not change a bit", arguments: EstimatorMode.all, PopulationMethod.allCases)
  func threads(_ mode: EstimatorMode, _ method: PopulationMethod) throws {
    let single = try train(estimator(mode, method, threads: 1))
    for threads in [2, 3] {
      expectSame(try train(estimator(mode, method, threads: threads)), single, "\(threads) threads")
    }
    let other = try train(estimator(mode, method, threads: 1, seed: 4))
    #expect((other[0] != single[0]) as Bool, "the seed must matter")
  }

  @Test(
    "A restored estimator goes on with the same bits, at any age of its tiles", arguments: EstimatorMode.all)
  func restored(_ mode: EstimatorMode) throws {
    for stop in 0..<5 {
      let original = try estimator(mode, threads: 1)
      for number in 0...stop { original.window(number, from: 6 * number, chunks: [6]) }
      let copy = try estimator(mode, threads: 2)
      copy.estimator.restore(afterWindow: stop)
      let (from, to) = (original.estimator.population, copy.estimator.population)
      expectSame(to.signs.array, from.signs.array)
      to.states.pointer.update(from: from.states.pointer, count: from.states.count)
      to.seen.pointer.update(from: from.seen.pointer, count: from.seen.count)
      for later in stop + 1..<stop + 4 {
        original.window(later, from: 6 * later, chunks: [6])
        copy.window(later, from: 6 * later, chunks: [6])
        expectSame(copy.gradientBits, original.gradientBits, "window \(later), stopped after \(stop)")
      }
    }
  }
}
