import LongzooMemory
import LongzooTestSupport
import Testing

@testable import LongzooModel

/// Forward mode against the plain reference in double, and the reference against differences of another definition.
@Suite("Tangents")
struct ModelTangentTests {
  /// Derivatives are sums over all units of all tokens before, and are larger than the states: what is compared is the error
  /// against the largest value of its kind.
  private func compare(_ test: KernelCase) throws {
    let model = try RandomModel(
      test.layout, scale: 1 / Double(test.shape.hiddenSize).squareRoot(), seed: test.seed)
    func run(_ instructions: Instructions, withReadout: Bool) throws -> PopulationUnderTest {
      let under = try PopulationUnderTest(
        test.layout, pairs: test.pairs, instructions: instructions, seed: test.seed + 7)
      under.mark(seed: test.seed)
      under.run(model.weights, chunks: [test.tokens], mode: .tangent, withReadout: withReadout)
      return under
    }
    let expected = try run(.reference, withReadout: true)
    for instructions in Instructions.fast {
      let actual = try run(instructions, withReadout: true)
      let slopes = slopeSize(test, expected)
      for pair in 0..<test.pairs {
        let (a, b) = (actual.population.loss(ofPair: pair), expected.population.loss(ofPair: pair))
        expectClose(a.plus, b.plus, size: 1, test, "\(instructions): loss of pair \(pair)")
        expectClose(
          a.minus, b.minus, size: slopes, test, "\(instructions): slope of pair \(pair)")
        for index in expected.stateIndices(pair: pair) {
          let isTangent = index % 32 >= 16
          expectClose(
            Double(actual.population.states[index]), Double(expected.population.states[index]),
            size: isTangent ? slopes : 1, test, "\(instructions): state \(index)")
        }
      }
      expectRows(test, actual, expected)
      expectSame(actual.population.seen.array, expected.population.seen.array, "\(instructions)")

      let silent = try run(instructions, withReadout: false)
      expectSame(
        silent.population.states.array.map(\.bitPattern), actual.population.states.array.map(\.bitPattern),
        "\(instructions): states do not depend on the readout")
      #expect(silent.population.losses.array.allSatisfy { $0 == 0 })
    }
  }

  private func expectClose(
    _ a: Double, _ b: Double, size: Double, _ test: KernelCase, _ what: @autoclosure () -> String
  ) {
    let allowed = 4 * test.tolerance * size
    if !(abs(a - b) <= allowed) { Issue.record("\(what()) is \(a) and not \(b), allowed \(allowed)") }
  }

  /// The largest derivative of a state or loss.
  private func slopeSize(_ test: KernelCase, _ under: PopulationUnderTest) -> Double {
    let states = (0..<test.pairs).flatMap(under.stateIndices).filter { $0 % 32 >= 16 }
      .map { abs(Double(under.population.states[$0])) }
    let losses = (0..<test.pairs).map { abs(under.population.loss(ofPair: $0).minus) }
    return max(1, states.max() ?? 0, losses.max() ?? 0)
  }

  private func expectRows(_ test: KernelCase, _ a: PopulationUnderTest, _ b: PopulationUnderTest) {
    guard test.exact else { return }
    let (delta, input) = (test.tokens * test.layout.deltaTile, test.tokens * test.layout.inputTile)
    for (i, (x, y)) in zip(a.delta, b.delta).prefix(delta).enumerated() {
      expectClose(Double(x), Double(y), size: 1, test, "delta")
      if i % 16 >= test.pairs { #expect(x == 0) }
    }
    for (x, y) in zip(a.input, b.input).prefix(input) {
      expectClose(Double(x), Double(y), size: 1, test, "input")
    }
  }

  @Test(
    "Losses, slopes, states and readout rows agree with the reference",
    arguments: KernelCase.corners + KernelCase.heads + KernelCase.small + KernelCase.cells + KernelCase.blocks
  )
  func agree(_ test: KernelCase) throws { try compare(test) }

  @Test("They agree for large shapes", arguments: KernelCase.large)
  func agreeLarge(_ test: KernelCase) throws {
    var test = test
    test.tokens = min(test.tokens, 3)
    try compare(test)
  }

  /// The reference knows nothing of differences, and this definition nothing of derivatives.
  @Test("The reference's slopes are those of central differences", arguments: ModelPopulationTests.layouts)
  func differences(_ layout: Layout) throws {
    let model = try RandomModel(layout, seed: 3)
    let (count, step) = (6, 1e-5)
    let under = try PopulationUnderTest(layout, pairs: 18, instructions: .reference, seed: 5)
    under.population.resetStates()
    under.run(model.weights, chunks: [2, 4], mode: .tangent)
    let reference = layout.shape.reference
    let theta = model.parameters.values.array.map(Double.init)
    for pair in [0, 3, 15, 17] {
      let row = pair * PopulationUnderTest.tokenStride
      let tokens = under.tokens[row...row + count].map(Int.init)
      let difference = centralDifference(
        { reference.loss($0, tokens, from: reference.zeroState) }, at: theta,
        along: under.direction(ofPair: pair), epsilon: step)
      let slope = under.population.loss(ofPair: pair).minus
      // The state is kept as Float between the two chunks.
      #expect(
        abs(slope - difference) <= 1e-5 * max(1, abs(difference)), "pair \(pair): \(slope), \(difference)")
    }
  }

  @Test("Tangents are cleared, and unperturbed states replaced, pair by pair")
  func access() throws {
    let layout = Layout(
      ModelShape(vocabularySize: 7, hiddenSize: 5, layers: 2), kind: .rank1, exactReadout: true)
    let under = try PopulationUnderTest(layout, pairs: 20, instructions: .portable, seed: 9)
    let population = under.population
    let before = population.states.array
    let rows = population.stateRows
    var primal = [Float](repeating: 0, count: rows)
    var tangent = primal
    population.readPrimal(ofPair: 17, into: &primal)
    population.readTangent(ofPair: 17, into: &tangent)
    #expect(rows == 2 * 2 * 6)
    for row in 0..<rows {
      #expect(primal[row] == before[layout.c.pointee.state + row * 32 + 1])
      #expect(tangent[row] == before[layout.c.pointee.state + row * 32 + 17])
    }
    population.setPrimal(ofPair: 3, to: primal)
    population.clearTangent(ofPair: 4)
    population.clearTangents(Tiles(from: 1, below: 2))
    for index in before.indices {
      let (tile, lane) = (index / layout.c.pointee.state, index % 32)
      let row = index % layout.c.pointee.state / 32
      let expected: Float =
        if tile == 1, lane >= 16 { 0 } else if tile == 0, lane == 20 { 0 } else if tile == 0, lane == 3 {
          primal[row]
        } else { before[index] }
      if population.states[index] != expected { Issue.record("element \(index)") }
    }
  }
}

extension PopulationUnderTest {
  /// Marks about a third of the tokens: read, but not predicted.
  func mark(seed: UInt64) {
    var random = ModelRandom(seed + 77)
    for i in tokens.indices where random.below(3) == 0 { tokens[i] |= 0x8000_0000 }
  }
}
