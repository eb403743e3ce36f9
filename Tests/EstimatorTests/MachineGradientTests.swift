import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

/// Models of several stages and a memory, against their definition.
@Suite("Differentiable neural computer: loss, states and exact gradient")
struct MachineGradientTests {
  /// Slots narrower and wider than a vector, odd and even numbers of them, one head and several, windows of several blocks; a memory that
  /// starts at zero.
  private static let shapes: [(model: ModelShape, streams: Int, tokens: Int)] = [
    (sized(5, 4, heads: 2, slots: 3, embedding: 3), 1, 7),
    (sized(4, 6, heads: 1, slots: 4, embedding: 5), 3, 6),
    (sized(3, 17, heads: 1, slots: 5, embedding: 2), 2, 4),
    (sized(4, 6, heads: 3, slots: 1, embedding: 4), 2, 5),
    (sized(4, 4, heads: 2, slots: 6, embedding: 3), 2, 20),
    (sized(4, 4, heads: 1, slots: 3, embedding: 3, isEmpty: true), 2, 6),
  ]

  private static func sized(
    _ vocabulary: Int, _ hidden: Int, heads: Int, slots: Int, embedding: Int, isEmpty: Bool = false
  ) -> ModelShape {
    var shape = ModelShape(
      vocabularySize: vocabulary, hiddenSize: hidden, cell: .dnc, embeddingSize: embedding)
    (shape.memorySlots, shape.readHeads, shape.startsEmpty) = (slots, heads, isEmpty)
    return shape
  }

  private func model(_ index: Int, streams: Int? = nil, tokens: Int? = nil) throws -> BPTTCase {
    let s = Self.shapes[index]
    return try BPTTCase(
      s.model, streams: streams ?? s.streams, tokens: tokens ?? s.tokens, seed: UInt64(index) + 1)
  }

  @Test("Back-propagation gives what the definition gives", arguments: shapes.indices)
  func exact(_ index: Int) throws {
    let model = try model(index)
    let reference = ReferenceDNC(model.shape)
    var (loss, gradient) = (0.0, [Double](repeating: 0, count: model.theta.count))
    var states: [ReferenceDNC.State<Double>] = []
    for row in model.rows {
      var state = reference.freshState(Double.self)
      loss += reference.loss(model.theta, row.map(Int.init), &state)
      states.append(state)
      for (i, d) in reference.gradient(model.theta, row.map(Int.init)).enumerated() { gradient[i] += d }
    }
    let targets = Double(model.streams * model.tokens)
    for instructions in fastInstructions {
      let bptt = try model.estimator(instructions: instructions)
      let result = model.window(bptt)
      #expect(abs(result.loss - loss / targets) < 1e-6 * max(1, loss / targets), "\(instructions)")
      #expect(bptt.relativeError(gradient.map { $0 / targets }) < 1e-5, "\(model.shape) \(instructions)")
      expectStates(bptt, states)
    }
  }

  private func expectStates(_ bptt: BPTT, _ states: [ReferenceDNC.State<Double>]) {
    for (stream, state) in states.enumerated() {
      bptt.eachState(ofStream: stream) { stage, part, units in
        let expected =
          stage == 2
          ? (part == 0 ? state.h : state.c) : part == 0 ? state.reads : state.memory.flatMap(\.self)
        for (unit, value) in expected.enumerated() {
          #expect(abs(Double(units[unit]) - value) < 1e-5, "stage \(stage), part \(part), unit \(unit)")
        }
      }
    }
  }

  @Test("A sequence's loss is the definition's, in one piece and in two", arguments: shapes.indices)
  func sequence(_ index: Int) throws {
    let model = try model(index, streams: 1, tokens: 20)
    let reference = ReferenceDNC(model.shape)
    var state = reference.freshState(Double.self)
    let loss = reference.loss(model.theta, model.rows[0].map(Int.init), &state)
    for instructions in fastInstructions + [.reference] {
      let weights = try PackedWeights(
        Layout(model.shape, kind: .rank1, exactReadout: true), instructions: .best, ledger: MemoryLedger())
      weights.pack(model.parameters, on: try ThreadPool(threads: 1))
      let sequence = try SequenceModel(weights, instructions: instructions, ledger: MemoryLedger())
      func run(_ tokens: ArraySlice<UInt32>) throws -> Double {
        sequence.run(try TokenBlock([Array(tokens)], vocabularySize: model.shape.vocabularySize))
      }
      #expect(abs(try run(model.rows[0][...]) - loss) < 1e-5 * loss, "\(model.shape), \(instructions)")
      sequence.reset()
      let halves = try run(model.rows[0][...9]) + run(model.rows[0][9...])
      #expect(abs(halves - loss) < 1e-5 * loss, "\(model.shape), \(instructions)")
    }
  }

  @Test("It has its parameters", arguments: shapes.indices)
  func sizes(_ index: Int) {
    let shape = Self.shapes[index].model
    #expect(shape.parameterCount == ReferenceDNC(shape).parameterCount)
    for (a, b) in zip(shape.tensors, shape.tensors.dropFirst()) {
      #expect(a.range.upperBound == b.offset, "\(a.tensor) and \(b.tensor)")
    }
  }

  @Test("The schedule of what is kept does not change a bit; two windows go on where one would")
  func schedules() throws {
    let model = try model(4, tokens: 50)
    let whole = try model.estimator()
    _ = model.window(whole)
    for checkpointing in [Checkpointing.every(16), .sqrt, .binomial(checkpoints: 2)] {
      let other = try model.estimator(checkpointing, threads: 2)
      _ = model.window(other)
      #expect(other.bits == whole.bits && other.stateBits == whole.stateBits, "\(checkpointing)")
    }
    let halves = try model.estimator()
    _ = model.window(halves, 0..<32)
    _ = model.window(halves, 32..<50)
    #expect(halves.stateBits == whole.stateBits)
  }

  @Test("Slots that start alike stay alike, and those that do not do not")
  func alike() throws {
    for isEmpty in [true, false] {
      var shape = Self.shapes[1].model
      shape.startsEmpty = isEmpty
      let model = try BPTTCase(shape, streams: 1, tokens: 12)
      let bptt = try model.estimator()
      _ = model.window(bptt)
      bptt.eachState(ofStream: 0) { stage, part, units in
        guard stage == 5, part == 1 else { return }
        let slots = (0..<shape.memorySlots).map { slot in (0..<6).map { units[6 * slot + $0] } }
        #expect(Set(slots).count == (isEmpty ? 1 : shape.memorySlots))
      }
    }
  }
}
