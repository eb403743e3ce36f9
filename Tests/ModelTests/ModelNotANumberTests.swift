import LongzooMemory
import LongzooTestSupport
import Testing

@testable import LongzooModel

/// What is not finite must be seen in the loss wherever the definition of the model makes it so.
@Suite("NaN and infinity")
struct ModelNotANumberTests {
  static let shape = ModelShape(vocabularySize: 29, hiddenSize: 5, layers: 2)
  /// Quiet NaNs of both signs, one with a payload in its low bits, and the infinities.
  static let poisons: [Float] = [
    .nan, -Float.nan, Float(bitPattern: 0x7FC0_0001), Float(bitPattern: 0xFFFF_FFFF), .infinity, -.infinity,
  ]
  static let layouts = DirectionKind.allCases.flatMap { kind in
    [false, true].map { Layout(shape, kind: kind, exactReadout: $0) }
  }
  static let tensors: [Tensor] = [
    .table, .kernel(0), .bias(0), .kernel(1), .bias(1), .readout, .readoutBias,
  ]

  /// Losses of the pairs after some tokens, of which 0 is read and 1, 2 are targets; row 7 is never a target.
  private func population(_ model: RandomModel, _ instructions: Instructions) throws -> [Double] {
    let under = try PopulationUnderTest(model.weights.layout, pairs: 3, instructions: instructions, seed: 71)
    for i in under.tokens.indices { under.tokens[i] = UInt32(i % PopulationUnderTest.tokenStride % 3) }
    under.run(model.weights, chunks: [4])
    return (0..<3).flatMap {
      [under.population.loss(ofPair: $0).plus, under.population.loss(ofPair: $0).minus]
    }
  }

  private func sequence(_ model: RandomModel, _ instructions: Instructions) throws -> [Double] {
    let sequence = try SequenceModel(model.weights, instructions: instructions, ledger: model.ledger)
    return [([0, 1, 2, 0, 1] as [UInt32]).withUnsafeBufferPointer { sequence.run($0) }]
  }

  /// An element of the tensor that takes part: of the rows of tokens that are read, and of logits that are no target.
  private func index(_ tensor: Tensor) -> Int {
    let slice = Self.shape.slice(tensor)
    switch tensor {
    case .table: return slice.offset + slice.columns + 3
    case .readout: return slice.offset + 7 * slice.columns + 2
    case .readoutBias: return slice.offset + 7
    default: return slice.offset + slice.count / 2
    }
  }

  @Test(
    "A weight that is NaN makes every loss NaN; an infinite one does what the reference says",
    arguments: layouts)
  func weights(_ layout: Layout) throws {
    for tensor in Self.tensors {
      for poison in Self.poisons {
        let model = try RandomModel(layout, seed: 73)
        model.parameters.values[index(tensor)] = poison
        model.weights.pack(model.parameters, on: model.pool)
        for run in [population, sequence] {
          let expected = try run(model, .reference).map(\.isFinite)
          if poison.isNaN { #expect(!expected.contains(true), "reference, \(tensor)") }
          for instructions in Instructions.fast {
            let actual = try run(model, instructions)
            #expect(
              actual.map(\.isFinite) == expected,
              "\(instructions), \(tensor) \(poison) \(poison.bitPattern): \(actual)")
          }
        }
      }
    }
  }

  @Test("A state that is NaN makes its own column's loss NaN, and no other", arguments: layouts)
  func states(_ layout: Layout) throws {
    let model = try RandomModel(layout, seed: 79)
    for instructions in Instructions.fast {
      for poison in Self.poisons where poison.isNaN {
        for (layer, part) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
          for sign in 0..<2 {
            let under = try PopulationUnderTest(layout, pairs: 20, instructions: instructions, seed: 83)
            let at = under.stateIndex(pair: 17, layer: layer, part: part, unit: 4, sign: sign)
            under.population.states[at] = poison
            under.run(model.weights, chunks: [1])
            for pair in 0..<20 {
              let loss = under.population.loss(ofPair: pair)
              #expect(loss.plus.isFinite == !(pair == 17 && sign == 0), "\(instructions), pair \(pair)")
              #expect(loss.minus.isFinite == !(pair == 17 && sign == 1), "\(instructions), pair \(pair)")
            }
            #expect(!under.population.lossesAreFinite)
          }
        }
      }
    }
  }
}
