import LongzooMemory
import LongzooTestSupport
import Testing

@testable import LongzooModel

/// Logits far below what any training makes: no padding, and no start of a search for the largest, may win over them.
@Suite("Lowest logits")
struct ModelLowestLogitTests {
  /// A vocabulary that fills no block and no vector.
  private static let shape = ModelShape(vocabularySize: 29, hiddenSize: 5, layers: 1)
  private static let layouts = DirectionKind.allCases.flatMap { kind in
    [false, true].map { Layout(shape, kind: kind, exactReadout: $0) }
  }
  /// The bias of all logits, and by how much that of the targets is lower.
  private static let biases: [(all: Float, lower: Float)] = [
    (-2800, 3), (-5000, 3), (-1e6, 8), (-9e29, 1e30), (-1e31, 2e31), (-1e38, 1e38), (-1.5e38, 0),
  ]

  private func model(_ layout: Layout, _ bias: (all: Float, lower: Float)) throws -> RandomModel {
    let model = try RandomModel(layout, seed: 11)
    let slice = Self.shape.slice(.readoutBias)
    // Ids from 20 on are the targets.
    for id in 0..<Self.shape.vocabularySize {
      model.parameters.values[slice.offset + id] = id < 20 ? bias.all : bias.all - bias.lower
    }
    model.weights.pack(model.parameters, on: model.pool)
    return model
  }

  private func expectClose(
    _ actual: [Double], _ expected: [Double], _ bias: (all: Float, lower: Float), _ what: String
  ) {
    // Logits are rounded to the places that numbers of their size have.
    let tolerance = 40 * Double(max(abs(bias.all), bias.lower).ulp) + 1e-4
    for (a, e) in zip(actual, expected) {
      #expect(abs(a - e) <= tolerance, "\(what), \(bias): \(a), not \(e)")
    }
  }

  @Test("A population's losses are those of the reference", arguments: layouts)
  func population(_ layout: Layout) throws {
    for bias in Self.biases {
      let model = try model(layout, bias)
      func losses(_ instructions: Instructions) throws -> [Double] {
        let under = try PopulationUnderTest(layout, pairs: 3, instructions: instructions, seed: 71)
        for i in under.tokens.indices { under.tokens[i] = UInt32(20 + i % 9) }
        under.run(model.weights, chunks: [1])
        return (0..<3).flatMap {
          [under.population.loss(ofPair: $0).plus, under.population.loss(ofPair: $0).minus]
        }
      }
      let expected = try losses(.reference)
      for instructions in Instructions.fast {
        expectClose(try losses(instructions), expected, bias, "\(instructions), \(layout.kind)")
      }
    }
  }

  @Test("An evaluation's losses are those of the reference")
  func sequence() throws {
    for bias in Self.biases {
      let model = try model(Layout(Self.shape, kind: .rank1, exactReadout: true), bias)
      func loss(_ instructions: Instructions) throws -> Double {
        let sequence = try SequenceModel(model.weights, instructions: instructions, ledger: model.ledger)
        return ([20, 21] as [UInt32]).withUnsafeBufferPointer { sequence.run($0) }
      }
      let expected = try loss(.reference)
      for instructions in Instructions.fast {
        expectClose([try loss(instructions)], [expected], bias, "\(instructions)")
      }
    }
  }

  @Test("Rows of a readout by themselves too", arguments: Instructions.fast)
  func rows(_ instructions: Instructions) throws {
    let logits = try Buffer<Float>(count: 16, .activations, for: "logits", ledger: MemoryLedger())
    for (all, lower) in Self.biases {
      // The rest of the row is padding, in which another row's logits may have been.
      logits.elements.update(repeating: 5)
      for i in 0..<3 { logits[i] = i == 2 ? all - lower : all }
      let loss = instructions.softmaxRows(
        logits.pointer, stride: 16, rows: 1, vocabulary: 3, bias: [0, 0, 0], targets: [2], scale: 1)
      let expected = lower == 0 ? 1.0986 : Double(lower) + 0.6931
      // e^−3 of the target, where it is that near.
      #expect(
        abs(loss - expected) <= 0.03 + 4 * Double(max(abs(all), lower).ulp), "\(all), \(lower): \(loss)")
    }
  }
}
