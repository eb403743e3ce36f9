import LongzooMemory
import LongzooTestSupport
import Testing

@testable import LongzooModel

@Suite("Marked tokens: read, and not predicted")
struct ModelMarkTests {
  private struct Outcome: Equatable {
    var total = 0.0
    var losses: [Float]
    var hits: [UInt8]
  }

  private func run(_ model: RandomModel, _ instructions: Instructions, _ tokens: [UInt32]) throws -> Outcome {
    let sequence = try SequenceModel(model.weights, instructions: instructions, ledger: model.ledger)
    var outcome = Outcome(
      losses: Array(repeating: .nan, count: tokens.count - 1),
      hits: Array(repeating: 7, count: tokens.count - 1))
    outcome.losses.withUnsafeMutableBufferPointer { losses in
      outcome.hits.withUnsafeMutableBufferPointer { hits in
        outcome.total = tokens.withUnsafeBufferPointer {
          sequence.run($0, losses: losses.baseAddress!, hits: hits.baseAddress!)
        }
      }
    }
    return outcome
  }

  @Test("The other losses keep their bits", arguments: ModelSequenceTests.shapes)
  func losses(_ shape: ModelShape) throws {
    let model = try RandomModel(Layout(shape, kind: .rank1, exactReadout: false), seed: 43)
    var random = ModelRandom(71)
    let tokens = random.tokens(40, vocabulary: shape.vocabularySize)
    let isMarked = (0..<40).map { $0 % 7 > 3 || $0 > 30 }
    let marked = zip(tokens, isMarked).map { $0 | ($1 ? TokenMark.mark : 0) }
    for instructions in [.reference] + Instructions.fast {
      let all = try run(model, instructions, tokens)
      let some = try run(model, instructions, marked)
      var total = 0.0
      for i in 0..<39 {
        let isTarget = !isMarked[i + 1]
        #expect(some.losses[i] == (isTarget ? all.losses[i] : 0), "\(instructions), \(i)")
        #expect(some.hits[i] == (isTarget ? all.hits[i] : 0), "\(instructions), \(i)")
        if isTarget { total += Double(all.losses[i]) }
      }
      #expect(abs(some.total - total) <= 39 * 0x1p-23 * max(1, total), "\(instructions)")
    }
  }

  @Test(
    "A hit is the first of the most probable ids",
    arguments: [
      ([0, 1, 2, 1.5], 2), ([3, 3, 3], 0), ([-5, -1, -2, -1], 1), ([-1e4, -2e4], 0), ([0], 0),
    ] as [([Float], Int)])
  func hits(_ logits: [Float], _ best: Int) throws {
    let shape = ModelShape(vocabularySize: logits.count, hiddenSize: 5)
    let model = try RandomModel(Layout(shape, kind: .rank1, exactReadout: true), scale: 0, seed: 1)
    let bias = shape.slice(.readoutBias).offset
    for (v, logit) in logits.enumerated() { model.parameters.values[bias + v] = logit }
    model.weights.pack(model.parameters, on: model.pool)
    for instructions in [.reference] + Instructions.fast {
      for target in logits.indices {
        let hits = try run(model, instructions, [0, UInt32(target)]).hits
        #expect(hits == [target == best ? 1 : 0], "\(instructions), \(target)")
      }
    }
  }

  @Test("Targets are counted")
  func count() {
    let tokens: [UInt32] = [0, TokenMark.mark, 5, TokenMark.mark | 5, TokenMark.id, .max, 7]
    for count in 0...7 {
      let expected = tokens[..<count].count { $0 & TokenMark.mark == 0 }
      #expect(TokenMark.targets(tokens, count: count) == expected)
    }
  }
}
