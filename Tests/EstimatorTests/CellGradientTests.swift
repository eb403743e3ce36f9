import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

/// Every cell's exact gradient, against its definition.
@Suite("Cells: loss, states and exact gradient")
struct CellGradientTests {
  /// Units on both sides of the vector widths, streams on both sides of the kernels' groups.
  static let shapes: [(vocabulary: Int, hidden: Int, layers: Int, heads: Int, streams: Int, tokens: Int)] = [
    (5, 3, 1, 1, 1, 7), (4, 6, 2, 2, 3, 6), (3, 17, 1, 1, 5, 4), (4, 5, 3, 1, 13, 5),
  ]

  private func reference(_ shape: ModelShape) throws -> ReferenceModel {
    ReferenceModel(
      try #require(
        ReferenceCell(rawValue: shape.cell.name), "\(shape.cell) has no definition in ReferenceCells.swift"),
      vocabulary: shape.vocabularySize,
      hidden: shape.hiddenSize, layers: shape.layers, heads: shape.heads)
  }

  @Test("Back-propagation gives what the definition gives", arguments: Cell.all, shapes.indices)
  func exact(_ cell: Cell, _ index: Int) throws {
    let s = Self.shapes[index]
    let model = try BPTTCase(
      vocabulary: s.vocabulary, hidden: s.hidden, layers: s.layers, heads: s.heads, cell: cell,
      streams: s.streams, tokens: s.tokens, seed: UInt64(index) + 1)
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
      #expect(bptt.relativeError(exact) < 1e-5, "\(cell) \(s) \(instructions)")
      try expectStates(bptt, states)
    }
  }

  private func expectStates(_ bptt: BPTT, _ states: [ReferenceModel.State<Double>]) throws {
    for (stream, state) in states.enumerated() {
      bptt.eachState(ofStream: stream) { layer, part, units in
        for unit in 0..<bptt.shape.hiddenSize {
          #expect(abs(Double(units[unit]) - state[layer][part][unit]) < 1e-5, "layer \(layer), state \(part)")
        }
      }
    }
  }

  /// What is evaluated is the same function, on packed weights and for one stream.
  @Test("A sequence's loss is the definition's", arguments: Cell.all)
  func sequence(_ cell: Cell) throws {
    for (layers, heads) in [(1, 1), (2, 2), (3, 1)] {
      let model = try BPTTCase(
        vocabulary: 6, hidden: 10, layers: layers, heads: heads, cell: cell, streams: 1, tokens: 20)
      let reference = try reference(model.shape)
      var state = reference.zeroState(Double.self)
      let loss = reference.loss(model.theta, model.rows[0].map(Int.init), &state)
      for instructions in fastInstructions + [.reference] {
        let weights = try PackedWeights(
          Layout(model.shape, kind: .rank1, exactReadout: true), instructions: .best, ledger: MemoryLedger())
        weights.pack(model.parameters, on: try ThreadPool(threads: 1))
        let sequence = try SequenceModel(weights, instructions: instructions, ledger: MemoryLedger())
        let found = sequence.run(try TokenBlock([model.rows[0]], vocabularySize: 6))
        #expect(abs(found - loss) < 1e-5 * loss, "\(cell), \(layers) layers, \(instructions)")
      }
    }
  }

  @Test("A cell has its bytes and its parameters", arguments: Cell.all)
  func sizes(_ cell: Cell) throws {
    for (layers, heads) in [(1, 1), (2, 2), (3, 1)] {
      let shape = ModelShape(vocabularySize: 5, hiddenSize: 6, layers: layers, heads: heads, cell: cell)
      #expect(shape.parameterCount == (try reference(shape)).parameterCount)
      #expect(shape.tensors.map(\.range.upperBound).last == shape.parameterCount)
      for (a, b) in zip(shape.tensors, shape.tensors.dropFirst()) {
        #expect(a.range.upperBound == b.offset, "\(a.tensor) and \(b.tensor)")
      }
    }
  }
}
