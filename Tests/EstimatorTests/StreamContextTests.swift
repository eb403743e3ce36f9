import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

/// Contexts that begin for some streams and not for others.
@Suite("A context of one stream")
struct StreamContextTests {
  static let shape = ModelShape(vocabularySize: 11, hiddenSize: 7, layers: 2)

  private func cdrge(_ method: PopulationMethod, streams: Int = 3) throws -> UnderTest<CDRGE> {
    var c = CDRGE.Configuration(
      pairs: 40, epsilon: 0.05, exactReadout: true, lifetime: 2, streams: streams, chunk: 8, seed: 9)
    c.method = method
    return try UnderTest(Self.shape, c, seed: 21)
  }

  private func fdrge(streams: Int) throws -> UnderTest<FDRGE> {
    let c = CDRGE.Configuration(
      pairs: 40, epsilon: 0.05, exactReadout: true, lifetime: 2, streams: streams, chunk: 8, seed: 9)
    return try UnderTest(Self.shape, streams: streams) { try FDRGE(Self.shape, c, pool: $0, ledger: $1) }
  }

  private func hybrid() throws -> UnderTest<Hybrid> {
    let c = Hybrid.Configuration(
      exact: BPTT.Configuration(streams: 3, window: 8), pairs: 40, epsilon: 0.05, lifetime: 2, momentum: 0,
      chunk: 8, seed: 9)
    return try UnderTest(Self.shape, streams: 3) { try Hybrid(Self.shape, c, pool: $0, ledger: $1) }
  }

  private func bptt() throws -> UnderTest<BPTT> {
    let c = BPTT.Configuration(streams: 3, window: 8)
    return try UnderTest(Self.shape, streams: 3) { try BPTT(Self.shape, c, pool: $0, ledger: $1) }
  }

  /// All streams one by one are what all at once are; one of them is neither that nor nothing.
  private func check<E: GradientEstimator>(_ make: () throws -> UnderTest<E>) throws {
    func bits(_ reset: (UnderTest<E>) -> Void) throws -> [UInt32] {
      let under = try make()
      under.window(0, from: 0, chunks: [4])
      reset(under)
      under.window(1, from: 4, chunks: [4])
      return under.gradientBits
    }
    let together = try bits { $0.estimator.beginContext() }
    let oneByOne = try bits { under in
      for stream in under.streams.indices.reversed() { under.estimator.beginContext(ofStream: stream) }
    }
    expectSame(oneByOne, together)
    let streams = try make().streams.count
    guard streams > 1 else { return }
    let some = try (0..<streams).map { stream in try bits { $0.estimator.beginContext(ofStream: stream) } }
    #expect(Set(some + [together] + [try bits { _ in }]).count == streams + 2)
  }

  @Test func everyEstimatorHasThem() throws {
    try check { try cdrge(.central) }
    try check { try cdrge(.tangent) }
    try check { try cdrge(.central, streams: 40) }
    try check { try fdrge(streams: 1) }
    try check { try fdrge(streams: 3) }
    try check { try hybrid() }
    try check { try bptt() }
  }

  @Test func theStatesOfTheOtherStreamsStay() throws {
    let under = try cdrge(.central)
    under.window(0, from: 0, chunks: [8])
    let population = under.estimator.population
    let before = population.states.array
    under.estimator.beginContext(ofStream: 1)
    let rows = population.layout.stateFloats / Tile.columns
    for pair in 0..<40 {
      for row in 0..<rows {
        for lane in [pair % 16, pair % 16 + 16] {
          let at = pair / 16 * population.layout.stateFloats + row * Tile.columns + lane
          let expected = population.stream(ofPair: pair) == 1 ? 0 : before[at]
          if population.states[at] != expected { Issue.record("pair \(pair), row \(row)") }
        }
      }
    }
  }
}
