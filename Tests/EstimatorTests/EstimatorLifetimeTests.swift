import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

@Suite("Lifetimes")
struct EstimatorLifetimeTests {
  static let shape = ModelShape(vocabularySize: 6, hiddenSize: 4, layers: 2)

  private func estimator(pairs: Int, streams: Int, lifetime: Int) throws -> EstimatorUnderTest {
    try EstimatorUnderTest(
      Self.shape,
      CDRGE.Configuration(
        pairs: pairs, epsilon: 0.1, exactReadout: false, lifetime: lifetime, streams: streams, chunk: 8,
        seed: 4),
      seed: 8)
  }

  private struct Snapshot {
    var states: [Float]
    var signs: [UInt16]
    var seen: [UInt16]

    init(_ population: Population) {
      states = population.states.array
      signs = population.signs.array
      seen = population.seen.array
    }

    /// The part of a tile.
    func tile<T>(_ values: KeyPath<Snapshot, [T]>, _ tile: Int, of tiles: Int) -> ArraySlice<T> {
      let all = self[keyPath: values]
      let count = all.count / tiles
      return all[tile * count..<(tile + 1) * count]
    }
  }

  @Test(
    "Tiles restart in turn: each after R windows, the same number at each window", arguments: [1, 2, 3, 5])
  func staggered(lifetime: Int) throws {
    let under = try estimator(pairs: 16 * 6, streams: 1, lifetime: lifetime)
    let population = under.estimator.population
    var before = Snapshot(population)
    var lastRestart = Array(repeating: 0, count: 6)
    var directions: Set<[UInt16]> = []
    for number in 0..<12 {
      under.estimator.beginWindow(number)
      let after = Snapshot(population)
      var restarted: [Int] = []
      for tile in 0..<6 {
        let isNew = after.tile(\.signs, tile, of: 6) != before.tile(\.signs, tile, of: 6)
        if isNew {
          restarted.append(tile)
          if lastRestart[tile] > 0 { #expect(number - lastRestart[tile] == lifetime) }
          lastRestart[tile] = number
          #expect(after.tile(\.seen, tile, of: 6).allSatisfy { $0 == 0 })
          #expect(
            directions.insert(Array(after.tile(\.signs, tile, of: 6))).inserted, "a direction came again")
        } else {
          expectSame(after.tile(\.seen, tile, of: 6), before.tile(\.seen, tile, of: 6))
          expectSame(after.tile(\.states, tile, of: 6), before.tile(\.states, tile, of: 6))
        }
      }
      let expected = number == 0 ? Array(0..<6) : (0..<6).filter { (number + $0) % lifetime == 0 }
      #expect(restarted == expected)
      if number > 0 { #expect(abs(restarted.count - 6 / lifetime) <= 1) }
      under.consume(from: number, chunks: [3])
      _ = under.estimator.finishWindow(tokens: 3)
      before = Snapshot(population)
    }
  }

  /// Streams end inside of tiles, so that a stream's mean spans tiles that restart and tiles that do not.
  @Test(
    "A restart puts the mean of (h₊ + h₋)/2 over the stream's pairs into both columns",
    arguments: [1, 3, 7, 40])
  func cleanState(streams: Int) throws {
    let (pairs, tiles) = (40, 3)
    let under = try estimator(pairs: pairs, streams: streams, lifetime: 2)
    let population = under.estimator.population
    for number in 0..<3 { under.window(number, from: 3 * number, chunks: [3]) }
    let before = Snapshot(population)
    let rows = before.states.count / tiles / 32
    func at(_ pair: Int, _ row: Int, _ sign: Int) -> Int {
      (pair / 16 * rows + row) * 32 + sign * 16 + pair % 16
    }
    under.estimator.beginWindow(3)  // tile 1
    for pair in 0..<pairs {
      let members = population.pairs(ofStream: population.stream(ofPair: pair))
      for row in 0..<rows {
        let (plus, minus) = (population.states[at(pair, row, 0)], population.states[at(pair, row, 1)])
        if pair / 16 == 1 {
          let sum = members.reduce(0.0) {
            $0 + Double(before.states[at($1, row, 0)]) + Double(before.states[at($1, row, 1)])
          }
          let mean = sum / Double(2 * members.count)
          // 2n sums of at most n (cells may pass 1: 3 tokens, 3 windows).
          #expect(abs(Double(plus) - mean) <= Double(2 * members.count + 1) * 9 * 0x1p-24)
          #expect(plus == minus)
        } else {
          #expect(plus == before.states[at(pair, row, 0)] && minus == before.states[at(pair, row, 1)])
        }
      }
    }
  }

  @Test("A context begins with zero states")
  func context() throws {
    let under = try estimator(pairs: 20, streams: 1, lifetime: 4)
    under.window(0, chunks: [3])
    #expect(under.estimator.population.states.array.contains { $0 != 0 })
    under.estimator.beginContext()
    #expect(under.estimator.population.states.array.allSatisfy { $0 == 0 })
  }
}
