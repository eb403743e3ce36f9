import Glibc
import LongzooMemory
import LongzooTestSupport
import Testing

@testable import LongzooModel

@Suite("Sequence model")
struct ModelSequenceTests {
  static let shapes =
    [(1, 1, 1), (2, 3, 2), (13, 5, 3), (25, 16, 1), (60, 33, 2), (300, 20, 1)]
    .map { ModelShape(vocabularySize: $0.0, hiddenSize: $0.1, layers: $0.2) } + [
      ModelShape(vocabularySize: 9, hiddenSize: 10, layers: 2, heads: 2),
      ModelShape(vocabularySize: 40, hiddenSize: 136, layers: 1, heads: 4),
    ]

  private func losses(
    _ model: RandomModel, _ instructions: Instructions, _ tokens: [UInt32], chunks: [Int]
  ) throws -> (total: Double, each: [Float]) {
    let sequence = try SequenceModel(model.weights, instructions: instructions, ledger: model.ledger)
    var total = 0.0
    var each = Array(repeating: Float.nan, count: tokens.count - 1)
    var first = 0
    for count in chunks {
      tokens.withUnsafeBufferPointer { tokens in
        each.withUnsafeMutableBufferPointer { each in
          let part = UnsafeBufferPointer(rebasing: tokens[first...first + count])
          total += sequence.run(part, losses: each.baseAddress! + first)
        }
      }
      first += count
    }
    return (total, each)
  }

  @Test("Every token's loss is that of the Double LSTM, on every instruction set", arguments: shapes)
  func reference(_ shape: ModelShape) throws {
    let model = try RandomModel(Layout(shape, kind: .rank1, exactReadout: false), seed: 43)
    var random = ModelRandom(47)
    let tokens = random.tokens(30, vocabulary: shape.vocabularySize)
    var state = shape.reference.zeroState
    let theta = model.parameters.values.array.map(Double.init)
    let expected = shape.reference.losses(theta, tokens.map(Int.init), state: &state)
    // The sums of each token on the way, and the log-sum-exp's.
    let sums = 29 * shape.layers * (2 * shape.hiddenSize + 4) + shape.hiddenSize + shape.vocabularySize + 8
    for instructions in [.reference] + Instructions.fast {
      let actual = try losses(model, instructions, tokens, chunks: [29])
      let worst = zip(actual.each, expected).reduce(0) { max($0, abs(Double($1.0) - $1.1)) }
      #expect(worst <= 2 * Double(sums) * 0x1p-23, "\(instructions)")
      #expect(abs(actual.total - expected.reduce(0, +)) <= 29 * 2 * Double(sums) * 0x1p-23, "\(instructions)")
    }
  }

  @Test("Any split gives the same bits, and reset begins anew", arguments: shapes)
  func splits(_ shape: ModelShape) throws {
    let model = try RandomModel(Layout(shape, kind: .rank1, exactReadout: false), seed: 53)
    var random = ModelRandom(59)
    let tokens = random.tokens(21, vocabulary: shape.vocabularySize)
    for instructions in Instructions.fast {
      let whole = try losses(model, instructions, tokens, chunks: [20])
      for split in [[1, 19], [7, 7, 6], Array(repeating: 1, count: 20)] {
        #expect(
          try losses(model, instructions, tokens, chunks: split).each == whole.each,
          "\(instructions) \(split)")
      }
      let sequence = try SequenceModel(model.weights, instructions: instructions, ledger: model.ledger)
      tokens.withUnsafeBufferPointer { tokens in
        let first = sequence.run(tokens)
        let carried = sequence.run(tokens)
        sequence.reset()
        let again = sequence.run(tokens)
        #expect(again == first && first == whole.total)
        if shape.vocabularySize > 1 { #expect(carried != first) }
      }
    }
  }

  @Test("One token predicts nothing")
  func short() throws {
    let model = try RandomModel(Layout(Self.shapes[1], kind: .rank1, exactReadout: false), seed: 1)
    let sequence = try SequenceModel(model.weights, ledger: model.ledger)
    #expect(sequence.run(try TokenBlock([[1]], vocabularySize: 3)) == 0)
  }

  /// Logits come from the readout's bias alone, so that they are known exactly.
  @Test(
    "The log-sum-exp holds for any range of logits",
    arguments: [
      [80, -80], [-80, -80, -80], [80, 80], [0, 88, -88, 1], [1000, -1000, 999], [-3e4, 3e4], [1e-30, 0],
    ] as [[Float]])
  func logSumExp(_ logits: [Float]) throws {
    let shape = ModelShape(vocabularySize: logits.count + 20, hiddenSize: 3)
    for exact in [false, true] {
      let layout = Layout(shape, kind: .rank1, exactReadout: exact)
      let model = try RandomModel(layout, scale: 0, seed: 1)
      let bias = shape.slice(.readoutBias)
      // Behind other rows, so that the running maximum has to rise and to fall.
      for v in 0..<shape.vocabularySize {
        model.parameters.values[bias.offset + v] = v < 20 ? -90 : logits[v - 20]
      }
      model.weights.pack(model.parameters, on: model.pool)
      let all = (0..<shape.vocabularySize).map { Double(model.parameters.values[bias.offset + $0]) }
      let most = all.max()!
      let normalizer = most + log(all.reduce(0) { $0 + exp($1 - most) })
      for instructions in Instructions.fast {
        for target in 0..<shape.vocabularySize {
          let expected = normalizer - all[target]
          let tokens = [0, UInt32(target)]
          let actual = try losses(model, instructions, tokens, chunks: [1]).total
          let ulps = 4 * Double(Float(max(abs(expected), abs(normalizer), 1)).ulp)
          #expect(abs(actual - expected) <= ulps, "\(instructions): \(actual) for \(expected)")
          let under = try PopulationUnderTest(layout, pairs: 1, instructions: instructions, seed: 1)
          under.epsilon = 0
          under.tokens[0] = 0
          under.tokens[1] = UInt32(target)
          under.run(model.weights, chunks: [1])
          let loss = under.population.loss(ofPair: 0)
          #expect(
            abs(loss.plus - expected) <= ulps && loss.minus == loss.plus,
            "\(instructions): \(loss) for \(expected)")
        }
      }
    }
  }

  @Test("Saturated gates keep to the reference: weights of ±30", arguments: shapes)
  func saturation(_ shape: ModelShape) throws {
    let model = try RandomModel(Layout(shape, kind: .rank1, exactReadout: false), scale: 30, seed: 61)
    var random = ModelRandom(67)
    let tokens = random.tokens(6, vocabulary: shape.vocabularySize)
    let expected = try losses(model, .reference, tokens, chunks: [5])
    // Gates of size 30·H amplify a rounding by as much at each token, if they are not saturated.
    for instructions in Instructions.fast {
      let actual = try losses(model, instructions, tokens, chunks: [5])
      #expect(abs(actual.total - expected.total) <= 2e-3 * max(1, abs(expected.total)), "\(instructions)")
    }
  }
}
