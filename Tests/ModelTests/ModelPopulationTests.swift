import LongzooMemory
import LongzooTestSupport
import Testing

@testable import LongzooModel

@Suite("Population")
struct ModelPopulationTests {
  static let shapes = [
    ModelShape(vocabularySize: 5, hiddenSize: 4), ModelShape(vocabularySize: 13, hiddenSize: 7, layers: 2),
    ModelShape(vocabularySize: 30, hiddenSize: 17, layers: 3), ModelShape(vocabularySize: 1, hiddenSize: 2),
    ModelShape(vocabularySize: 11, hiddenSize: 10, layers: 2, heads: 2),
  ]
  static let layouts = shapes.flatMap { shape in
    DirectionKind.allCases.flatMap { kind in
      [false, true].map { Layout(shape, kind: kind, exactReadout: $0) }
    }
  }

  /// The loss of one perturbed model, run by itself through the sequence kernel.
  private func explicitLoss(
    _ model: RandomModel, _ z: [Double], epsilon: Double, tokens: [UInt32], instructions: Instructions
  ) throws -> Double {
    let layout = model.weights.layout
    let moved = try Parameters(layout.shape, ledger: model.ledger)
    for i in 0..<z.count { moved.values[i] = Float(Double(model.parameters.values[i]) + epsilon * z[i]) }
    let weights = try PackedWeights(layout, ledger: model.ledger)
    weights.pack(moved, on: model.pool)
    let sequence = try SequenceModel(weights, instructions: instructions, ledger: model.ledger)
    return tokens.withUnsafeBufferPointer { sequence.run($0) }
  }

  @Test("Every column's loss is that of the model θ ± εz read out of the sign words", arguments: layouts)
  func explicitPerturbation(_ layout: Layout) throws {
    let model = try RandomModel(layout, seed: 3)
    let (pairs, count) = (18, 6)
    // Sums as in KernelCase, and one more rounding of each weight when it is moved.
    let sums = count * layout.shape.layers * (4 * layout.shape.hiddenSize + 6) + layout.shape.vocabularySize
    for instructions in Instructions.fast {
      let under = try PopulationUnderTest(layout, pairs: pairs, instructions: instructions, seed: 5)
      under.population.resetStates()
      under.run(model.weights, chunks: [count])
      for pair in [0, 3, 15, 16, 17] {
        let row = pair * PopulationUnderTest.tokenStride
        let tokens = Array(under.tokens[row...row + count])
        let z = under.direction(ofPair: pair)
        let epsilon = Double(under.epsilon)
        let plus = try explicitLoss(model, z, epsilon: epsilon, tokens: tokens, instructions: instructions)
        let minus = try explicitLoss(model, z, epsilon: -epsilon, tokens: tokens, instructions: instructions)
        let loss = under.population.loss(ofPair: pair)
        let tolerance = 4 * Double(sums) * 0x1p-23
        #expect(abs(loss.plus - plus) <= tolerance, "\(instructions), pair \(pair)")
        #expect(abs(loss.minus - minus) <= tolerance, "\(instructions), pair \(pair)")
        if layout.shape.vocabularySize > 1 {
          #expect(abs(plus - minus) > 10 * tolerance, "the test would not see a wrong sign")
        }
      }
    }
  }

  @Test("Any split into chunks gives the same bits", arguments: layouts)
  func chunks(_ layout: Layout) throws {
    let model = try RandomModel(layout, seed: 11)
    for instructions in Instructions.fast {
      let whole = try PopulationUnderTest(layout, pairs: 19, instructions: instructions, seed: 13)
      whole.run(model.weights, chunks: [9])
      for split in [[1, 8], [4, 5], [3, 3, 3], [2, 6, 1], Array(repeating: 1, count: 9)] {
        let parts = try PopulationUnderTest(layout, pairs: 19, instructions: instructions, seed: 13)
        parts.run(model.weights, chunks: split)
        expectSame(parts.allBits, whole.allBits, "\(instructions) \(split)")
        expectSame(parts.delta.map(\.bitPattern), whole.delta.map(\.bitPattern), "\(instructions) \(split)")
        expectSame(parts.input.map(\.bitPattern), whole.input.map(\.bitPattern), "\(instructions) \(split)")
        expectSame(parts.population.seen.array, whole.population.seen.array)
      }
    }
  }

  @Test(
    "A pair's bits do not depend on its neighbours, its lane or its tile",
    arguments: layouts.filter { $0.kind != .gaussian })
  func independence(_ layout: Layout) throws {
    let model = try RandomModel(layout, seed: 17)
    for instructions in Instructions.fast {
      let first = try PopulationUnderTest(layout, pairs: 16, instructions: instructions, seed: 19)
      let other = try PopulationUnderTest(layout, pairs: 40, instructions: instructions, seed: 23)
      let moves = [(0, 0), (5, 15), (7, 20), (15, 39)]
      for (source, lane) in moves { other.adopt(lane, from: first, source) }
      first.run(model.weights, chunks: [7])
      other.run(model.weights, chunks: [7])
      for (source, lane) in moves {
        expectSame(
          first.bits(ofPair: source), other.bits(ofPair: lane), "\(instructions): \(source) as \(lane)")
      }
      #expect(first.bits(ofPair: 1).states != other.bits(ofPair: 1).states, "the others must differ")
    }
  }

  @Test("The same token for all pairs takes a short cut to the same bits", arguments: layouts)
  func sharedTokens(_ layout: Layout) throws {
    let model = try RandomModel(layout, seed: 29)
    let stride = PopulationUnderTest.tokenStride
    for instructions in Instructions.fast {
      func run(_ change: (PopulationUnderTest) -> Void) throws -> [PairBits] {
        let under = try PopulationUnderTest(layout, pairs: 16, instructions: instructions, seed: 31)
        change(under)
        under.run(model.weights, chunks: [6])
        return under.allBits
      }
      func share(_ under: PopulationUnderTest, except odd: Int?) {
        let text = (0..<stride).map { UInt32($0 * $0 % layout.shape.vocabularySize) }
        for pair in 0..<16 where pair != odd {
          under.tokens.replaceSubrange(pair * stride..<(pair + 1) * stride, with: text)
        }
      }
      let mixed = try run { _ in }
      let shared = try run { share($0, except: nil) }
      for odd in [0, 1, 8, 15] {
        // One pair that reads something else takes the short cut from all.
        let bits = try run { share($0, except: odd) }
        for pair in 0..<16 {
          expectSame(bits[pair], pair == odd ? mixed[pair] : shared[pair], "\(instructions), \(odd), \(pair)")
        }
      }
    }
  }

  @Test("The number of threads does not change a bit")
  func threads() throws {
    let layout = Layout(
      ModelShape(vocabularySize: 20, hiddenSize: 10, layers: 2), kind: .rank1, exactReadout: true)
    let model = try RandomModel(layout, seed: 37)
    let single = try PopulationUnderTest(layout, pairs: 100, instructions: .best, seed: 41)
    single.run(model.weights, chunks: [23, 4])
    for threads in [2, 3, 5] {
      let several = try PopulationUnderTest(
        layout, pairs: 100, threads: threads, instructions: .best, seed: 41)
      several.run(model.weights, chunks: [23, 4], on: try ThreadPool(threads: threads))
      expectSame(several.allBits, single.allBits, "\(threads) threads")
      expectSame(several.delta.map(\.bitPattern), single.delta.map(\.bitPattern))
      expectSame(several.input.map(\.bitPattern), single.input.map(\.bitPattern))
    }
  }

  @Test("Every tile reads all tokens once and in their order, one thread at a time")
  func turns() throws {
    let layout = Layout(ModelShape(vocabularySize: 2, hiddenSize: 1), kind: .rank1, exactReadout: false)
    for (pairs, threads, tokens) in [(16, 1, 9), (48, 2, 30), (80, 4, 64), (33, 2, 3), (16, 3, 40)] {
      let pool = try ThreadPool(threads: threads)
      let population = try Population(
        layout, pairs: pairs, streams: pairs, threads: threads, ledger: MemoryLedger())
      for _ in 0..<20 {
        let next = Locked(Array(repeating: 0, count: population.tiles))
        let busy = Locked(Set<Int>())
        population.runTiles(tokens, on: pool) { tile, _, piece in
          #expect(busy.withLock { $0.insert(tile).inserted })
          #expect(next.withLock { $0[tile] } == piece.lowerBound && !piece.isEmpty)
          next.withLock { $0[tile] = piece.upperBound }
          busy.withLock { _ = $0.remove(tile) }
        }
        #expect(next.withLock { $0.allSatisfy { $0 == tokens } })
      }
    }
  }

  @Test("Streams share the pairs evenly, and each pair belongs to the stream that it reads")
  func streams() throws {
    let layout = Layout(ModelShape(vocabularySize: 2, hiddenSize: 1), kind: .rank1, exactReadout: false)
    for (pairs, streams) in [(1, 1), (16, 16), (17, 5), (33, 2), (40, 39), (7, 3)] {
      let population = try Population(
        layout, pairs: pairs, streams: streams, threads: 1, ledger: MemoryLedger())
      var members: [Int] = []
      for stream in 0..<streams {
        let range = population.pairs(ofStream: stream)
        #expect(range.allSatisfy { population.stream(ofPair: $0) == stream })
        #expect(range.count >= pairs / streams && range.count <= (pairs + streams - 1) / streams)
        members += range
      }
      #expect(members == Array(0..<pairs))
    }
  }
}
