import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooModel

@Suite("Kernels that move gates")
struct ModelNodeTests {
  static let epsilon: Float = 0.1

  /// All that a window of nodes leaves behind.
  private final class Run {
    let population: Population
    let means: Buffer<Float>
    let delta: Buffer<Float>
    let input: Buffer<Float>
    let row: Int

    init(
      _ test: KernelCase, _ layout: Layout, _ weights: PackedWeights, _ instructions: Instructions,
      pieces: [Int]
    ) throws {
      let ledger = MemoryLedger()
      let count = pieces.reduce(0, +)
      population = try Population(
        layout, pairs: test.pairs + 16, streams: test.pairs + 16, threads: 1, tokenSets: count,
        instructions: instructions, ledger: ledger)
      row = (test.shape.hiddenSize + 15) / 16 * 16
      let (tiles, token) = (population.tiles, population.tiles * 16 * row)
      means = try Buffer(
        count: test.shape.layers * (count + 1) * token, .activations, for: "h", ledger: ledger)
      delta = try Buffer(count: count * tiles * layout.deltaTile, .activations, for: "p − y", ledger: ledger)
      input = try Buffer(count: count * tiles * layout.inputTile, .activations, for: "h", ledger: ledger)
      for buffer in [means.elements, delta.elements, input.elements] { buffer.update(repeating: .nan) }
      var random = ModelRandom(test.seed + 7)
      let tokens = random.tokens(population.pairs * (count + 1), vocabulary: test.shape.vocabularySize)
      for i in 0..<population.states.count { population.states[i] = Float(random.unit()) }
      for i in 0..<population.signs.count {
        population.signs[i] = UInt16(truncatingIfNeeded: random.word() >> 20)
      }
      let to = NodeMeans(
        at: means.pointer, layerStride: (count + 1) * token, tileStride: Tile.pairs * row, tokenStride: token,
        row: row)
      let rows = ReadoutRows(delta: delta.pointer, input: input.pointer)
      for tile in 0..<tiles {
        var first = 0
        for piece in pieces {
          tokens.withUnsafeBufferPointer {
            let block = TokenBlock(
              unchecked: $0.baseAddress! + first, streams: population.streams, stride: count + 1,
              count: piece,
              vocabularySize: layout.shape.vocabularySize)
            population.runNodes(
              tile: tile, thread: 0, weights: weights, epsilon: epsilon, tokens: block, from: first,
              readout: rows.from(token: first, of: population), means: to)
          }
          first += piece
        }
      }
    }

    /// By name; padding left out where it means nothing.
    var values: [String: [Float]] {
      let layout = population.layout
      let pairs = 0..<population.pairs
      let losses = (0..<population.tokenSets).flatMap { token in
        pairs.flatMap { pair in
          let loss = population.loss(ofPair: pair, token: token)
          return [Float(loss.plus), Float(loss.minus)]
        }
      }
      let units = layout.stage(0).pointee.padded
      let states = population.states.array.enumerated().filter {
        $0.offset / 32 % units < layout.shape.hiddenSize
      }
      .map(\.element)
      let wide = population.tiles * 16
      let kept = means.array.enumerated().filter { $0.offset / row % wide < population.pairs }.map(\.element)
      return [
        "losses": losses, "states": states, "means": kept, "delta": delta.array, "input": input.array,
      ]
    }
  }

  @Test(
    "Losses, states, mean states and readout rows agree with the reference, whatever the pieces",
    arguments: (KernelCase.corners + KernelCase.heads + KernelCase.small).filter { $0.kind == .rank1 },
    [false, true])
  func agree(_ test: KernelCase, movesLogits: Bool) throws {
    let layout = Layout(nodesOf: test.shape, movesLogits: movesLogits)
    let model = try RandomModel(layout, seed: test.seed)
    let expected = try Run(test, layout, model.weights, .reference, pieces: [test.tokens]).values
    // A difference of losses is divided by 2ε, and so are its last roundings.
    let last = movesLogits ? 8 * 0x1p-24 / (2 * Double(Self.epsilon)) : 0
    for instructions in Instructions.fast {
      let actual = try Run(test, layout, model.weights, instructions, pieces: [test.tokens]).values
      for (what, values) in actual {
        let errors = zip(values, expected[what]!).map { a, b in a == b ? 0 : abs(Double(a) - Double(b)) }
        let tolerance = test.tolerance + (what == "delta" ? last : 0)
        #expect(
          errors.allSatisfy { $0 <= tolerance },
          "\(instructions): \(what) are off by \(errors.max() ?? 0)")
      }
      guard test.tokens > 1 else { continue }
      let cut = try Run(test, layout, model.weights, instructions, pieces: [1, test.tokens - 1]).values
      for (what, values) in actual {
        expectSame(values.map(\.bitPattern), cut[what]!.map(\.bitPattern), "\(instructions): \(what)")
      }
    }
  }

  @Test("Sign words become a row of ±coefficients for each pair", arguments: [1, 12, 16, 17, 100])
  func expand(_ count: Int) {
    var random = ModelRandom(UInt64(count))
    let words = (0..<count).map { _ in UInt16(truncatingIfNeeded: random.word() >> 20) }
    let coefficients = (0..<16).map { _ in Float(random.unit()) }
    let stride = count + 3
    for instructions in Instructions.fast {
      var out = [Float](repeating: .nan, count: 16 * stride)
      instructions.expandNodes(words, count: count, coefficients: coefficients, into: &out, stride: stride)
      for pair in 0..<16 {
        for i in 0..<stride {
          let sign: Float = i < count && words[i] >> UInt16(pair) & 1 == 1 ? -1 : 1
          let found = out[pair * stride + i]
          #expect(i < count ? found == sign * coefficients[pair] : found.isNaN)
        }
      }
    }
  }
}
