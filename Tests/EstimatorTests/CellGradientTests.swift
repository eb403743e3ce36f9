import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

/// Units on both sides of the vector widths, streams on both sides of the kernels' groups, windows of several blocks; layers alone, over
/// an embedding, and as blocks.
private enum Sizes {
  static let all: [(model: ModelShape, streams: Int, tokens: Int)] = [
    (sized(5, 3), 1, 7), (sized(4, 6, 2, heads: 2), 3, 6), (sized(3, 17), 5, 4), (sized(4, 5, 3), 13, 5),
    (sized(5, 6, 2, heads: 2, embedding: 3), 3, 6), (sized(4, 3, embedding: 17), 1, 20),
    (sized(4, 4, block: .residual), 2, 18), (sized(3, 6, 2, heads: 2, block: .residual), 9, 4),
    (sized(4, 3, 2, block: .residual, embedding: 5), 3, 7),
  ]

  private static func sized(
    _ vocabulary: Int, _ hidden: Int, _ layers: Int = 1, heads: Int = 1, block: BlockKind = .plain,
    embedding: Int = 0
  ) -> ModelShape {
    ModelShape(
      vocabularySize: vocabulary, hiddenSize: hidden, layers: layers, heads: heads, block: block,
      embeddingSize: embedding)
  }
}

private let cellsOfLayers = Cell.all.filter { !$0.isWholeModel }

/// Every cell's exact gradient, against its definition.
@Suite("Cells: loss, states and exact gradient")
struct CellGradientTests {
  private static func shape(_ cell: Cell, _ index: Int) -> ModelShape {
    var shape = Sizes.all[index].model
    shape.cell = cell
    return shape
  }

  private func reference(_ shape: ModelShape) throws -> ReferenceModel {
    try #require(
      ReferenceModel(shape), "\(shape.cell) has no definition in ReferenceCells.swift")
  }

  @Test("Back-propagation gives what the definition gives", arguments: cellsOfLayers, Sizes.all.indices)
  func exact(_ cell: Cell, _ index: Int) throws {
    let s = Sizes.all[index]
    let model = try BPTTCase(
      Self.shape(cell, index), streams: s.streams, tokens: s.tokens, seed: UInt64(index) + 1)
    let reference = try reference(model.shape)
    var (loss, gradient) = (0.0, [Double](repeating: 0, count: model.theta.count))
    var states: [ReferenceModel.State<Double>] = []
    for row in model.rows {
      var state = reference.zeroState(Double.self)
      loss += reference.loss(model.theta, row.map(Int.init), &state)
      states.append(state)
      for (i, d) in reference.gradient(model.theta, row.map(Int.init)).enumerated() { gradient[i] += d }
    }
    let targets = Double(s.streams * s.tokens)
    let exact = gradient.map { $0 / targets }
    for instructions in fastInstructions {
      let bptt = try model.estimator(instructions: instructions)
      let result = model.window(bptt)
      #expect(abs(result.loss - loss / targets) < 1e-6 * max(1, loss / targets), "\(instructions)")
      #expect(bptt.relativeError(exact) < 1e-5, "\(model.shape) \(instructions)")
      try expectStates(bptt, states)
    }
  }

  private func expectStates(_ bptt: BPTT, _ states: [ReferenceModel.State<Double>]) throws {
    for (stream, state) in states.enumerated() {
      bptt.eachState(ofStream: stream) { stage, part, units in
        let layer = (0..<bptt.shape.layers).first { bptt.shape.stage(ofLayer: $0) == stage }!
        for unit in 0..<bptt.shape.hiddenSize {
          #expect(abs(Double(units[unit]) - state[layer][part][unit]) < 1e-5, "layer \(layer), state \(part)")
        }
      }
    }
  }

  /// What is evaluated is the same function, on packed weights and for one stream.
  @Test("A sequence's loss is the definition's", arguments: cellsOfLayers)
  func sequence(_ cell: Cell) throws {
    for index in Sizes.all.indices {
      let model = try BPTTCase(Self.shape(cell, index), streams: 1, tokens: 20)
      let reference = try reference(model.shape)
      var state = reference.zeroState(Double.self)
      let loss = reference.loss(model.theta, model.rows[0].map(Int.init), &state)
      for instructions in fastInstructions + [.reference] {
        let weights = try PackedWeights(
          Layout(model.shape, kind: .rank1, exactReadout: true), instructions: .best, ledger: MemoryLedger())
        weights.pack(model.parameters, on: try ThreadPool(threads: 1))
        let sequence = try SequenceModel(weights, instructions: instructions, ledger: MemoryLedger())
        let found = sequence.run(
          try TokenBlock([model.rows[0]], vocabularySize: model.shape.vocabularySize))
        #expect(abs(found - loss) < 1e-5 * loss, "\(model.shape), \(instructions)")
      }
    }
  }

  @Test("A cell has its bytes and its parameters", arguments: cellsOfLayers)
  func sizes(_ cell: Cell) throws {
    for index in Sizes.all.indices {
      let shape = Self.shape(cell, index)
      #expect(shape.parameterCount == (try reference(shape)).parameterCount)
      #expect(shape.tensors.map(\.range.upperBound).last == shape.parameterCount)
      for (a, b) in zip(shape.tensors, shape.tensors.dropFirst()) {
        #expect(a.range.upperBound == b.offset, "\(a.tensor) and \(b.tensor)")
      }
    }
  }
}
