import CLongzooKernels
import LongzooMemory
import LongzooTestSupport
import Testing

@testable import LongzooModel

/// Tiles whose "−" columns have directions of their own, against the reference's tiles of pairs.
@Suite("One-sided perturbations")
struct ModelForwardTests {
  /// One tile and what runs in it.
  private struct Tile {
    var state: [Float]
    var losses = [Double](repeating: 0, count: 32)
    var seen: [[UInt16]]
    var delta: [Float]
    var input: [Float]
  }

  /// Runs the kernel, on copies, with these sign words and ε of the "−" columns.
  private func forward(
    _ test: KernelCase, _ under: PopulationUnderTest, _ model: RandomModel, signs: [UInt16], epsilon: Float,
    _ instructions: Instructions
  ) -> Tile {
    let layout = test.layout
    let rows = test.exact ? test.tokens : 0
    var tile = Tile(
      state: Array(under.population.states.array.prefix(layout.stateFloats)),
      seen: Array(repeating: Array(repeating: 0, count: test.shape.vocabularySize), count: 2),
      delta: Array(repeating: .nan, count: rows * layout.deltaTile),
      input: Array(repeating: .nan, count: rows * layout.inputTile))
    let scratch = try! Buffer<Float>(
      count: layout.c.pointee.scratch, .activations, for: "scratch", ledger: MemoryLedger())
    // States are read as whole vectors.
    let state = try! Buffer<Float>(
      count: layout.stateFloats, .activations, for: "state", ledger: MemoryLedger())
    for i in 0..<state.count { state[i] = tile.state[i] }
    var other: [UInt16] = tile.seen[1]
    under.tokens.withUnsafeBufferPointer { tokens in
      let from: [UnsafePointer<UInt32>?] = (0..<16).map {
        tokens.baseAddress! + min($0, test.pairs - 1) * PopulationUnderTest.tokenStride
      }
      from.withUnsafeBufferPointer { from in
        signs.withUnsafeBufferPointer { signs in
          tile.losses.withUnsafeMutableBufferPointer { losses in
            tile.seen[0].withUnsafeMutableBufferPointer { seen in
              other.withUnsafeMutableBufferPointer { other in
                tile.delta.withUnsafeMutableBufferPointer { delta in
                  tile.input.withUnsafeMutableBufferPointer { input in
                    var chunk = lz_chunk()
                    chunk.weights = UnsafePointer(model.weights.values.pointer)
                    chunk.signs = UnsafePointer(under.population.signs.pointer)
                    chunk.epsilon = under.epsilon
                    chunk.state = state.pointer
                    chunk.tokens = from.baseAddress
                    chunk.count = Int64(test.tokens)
                    chunk.loss = losses.baseAddress
                    chunk.seen = seen.baseAddress
                    chunk.valid = Int32(test.pairs)
                    chunk.delta = delta.baseAddress
                    chunk.input = input.baseAddress
                    chunk.tile_step = 1
                    var second = lz_second(
                      signs: signs.baseAddress, epsilon: epsilon, seen: other.baseAddress)
                    lz_run_forward(instructions.code, layout.c, &chunk, &second, scratch.pointer)
                  }
                }
              }
            }
          }
        }
      }
    }
    tile.seen[1] = other
    tile.state = state.array
    return tile
  }

  private func reference(_ test: KernelCase, _ model: RandomModel, _ change: (PopulationUnderTest) -> Void)
    throws
    -> PopulationUnderTest
  {
    let under = try PopulationUnderTest(
      test.layout, pairs: test.pairs, instructions: .reference, seed: test.seed + 7)
    under.mark(seed: test.seed)
    change(under)
    under.run(model.weights, chunks: [test.tokens])
    return under
  }

  private func expectClose(_ a: Double, _ b: Double, _ test: KernelCase, _ what: @autoclosure () -> String) {
    if !(abs(a - b) <= test.tolerance) {
      Issue.record("\(what()) is \(a) and not \(b), allowed \(test.tolerance)")
    }
  }

  /// Columns of one half of a tile against the "+" columns of a reference.
  private func compare(
    _ test: KernelCase, _ tile: Tile, half: Int, _ expected: PopulationUnderTest, _ what: String
  ) {
    for pair in 0..<test.pairs {
      expectClose(
        tile.losses[16 * half + pair], expected.population.loss(ofPair: pair).plus, test,
        "\(what): loss \(pair)")
      for index in expected.stateIndices(pair: pair) where index % 32 < 16 {
        expectClose(
          Double(tile.state[index + 16 * half]), Double(expected.population.states[index]), test,
          "\(what): state \(index)")
      }
    }
  }

  @Test(
    "Each half of a tile is what a tile of pairs has as its + half; both halves make the readout's rows",
    arguments: KernelCase.sideBySide)
  func halves(_ test: KernelCase) throws {
    let model = try RandomModel(test.layout, seed: test.seed)
    let plain = try reference(test, model) { _ in }
    let start = try PopulationUnderTest(
      test.layout, pairs: test.pairs, instructions: .reference, seed: test.seed + 7)
    start.mark(seed: test.seed)
    let own = start.population.signs.array
    var random = ModelRandom(test.seed + 99)
    let others = own.map { _ in UInt16(truncatingIfNeeded: random.word() >> 20) }
    // The "−" half's states and signs as a "+" half.
    func second(epsilon: Float) throws -> PopulationUnderTest {
      try reference(test, model) { under in
        under.epsilon = epsilon
        for row in 0..<test.layout.stateFloats / 32 {
          for lane in 0..<16 {
            under.population.states[row * 32 + lane] = under.population.states[row * 32 + lane + 16]
          }
        }
        for i in others.indices { under.population.signs[i] = others[i] }
      }
    }
    let (moved, still) = (try second(epsilon: 0.07), try second(epsilon: 0))
    for instructions in Instructions.fast {
      let two = forward(test, start, model, signs: others, epsilon: 0.07, instructions)
      compare(test, two, half: 0, plain, "\(instructions), first")
      compare(test, two, half: 1, moved, "\(instructions), second")
      expectSame(two.seen[0], plain.population.seen.array, "\(instructions)")
      expectSame(two.seen[1], plain.population.seen.array, "\(instructions)")
      let base = forward(test, start, model, signs: others, epsilon: 0, instructions)
      compare(test, base, half: 1, still, "\(instructions), unperturbed")
      // The other sign of the same directions makes pairs: everything is as in run_chunk.
      let pairs = forward(test, start, model, signs: own, epsilon: -start.epsilon, instructions)
      for pair in 0..<test.pairs {
        expectClose(
          pairs.losses[16 + pair], plain.population.loss(ofPair: pair).minus, test, "\(instructions): minus")
      }
      for (i, value) in pairs.delta.enumerated() {
        expectClose(Double(value), Double(plain.delta[i]), test, "\(instructions): delta")
      }
      for (i, value) in pairs.input.enumerated() {
        expectClose(Double(value), Double(plain.input[i]), test, "\(instructions): input")
      }
    }
  }
}
