import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

@Suite("BPTT: the gradient is exact")
struct BPTTGradientTests {
  @Test("the Double reference agrees with central differences", arguments: [1, 2])
  func referenceAgreesWithDifferences(layers: Int) throws {
    let model = try BPTTCase(vocabulary: 5, hidden: 4, layers: layers, streams: 1, tokens: 9)
    var states = model.zeroStates
    let exact = model.exact(states: &states).gradient
    let text = model.rows[0].map(Int.init)
    var theta = model.theta
    let step = 1e-5
    for i in theta.indices {
      let value = theta[i]
      theta[i] = value + step
      let plus = model.reference.loss(theta, text, from: model.reference.zeroState)
      theta[i] = value - step
      let minus = model.reference.loss(theta, text, from: model.reference.zeroState)
      theta[i] = value
      let difference = (plus - minus) / (2 * step) / Double(model.tokens)
      #expect(abs(difference - exact[i]) < 1e-6 * max(1, abs(exact[i])), "parameter \(i)")
    }
  }

  /// Hidden sizes on both sides of every vector width, streams on both sides of every group of the kernels.
  static let shapes: [(vocabulary: Int, hidden: Int, layers: Int, streams: Int, tokens: Int, heads: Int)] = [
    (5, 4, 1, 1, 7, 1), (5, 4, 2, 1, 7, 1), (2, 1, 1, 1, 3, 1), (1, 3, 2, 2, 5, 1), (17, 16, 1, 3, 20, 1),
    (16, 17, 2, 5, 33, 1), (33, 31, 3, 6, 18, 1), (100, 40, 1, 7, 17, 1), (64, 65, 2, 13, 16, 1),
    (300, 20, 1, 70, 16, 1), (7, 70, 1, 2, 50, 1), (5, 6, 2, 2, 9, 2), (9, 40, 3, 3, 12, 5),
    (11, 96, 2, 2, 7, 3),
  ]

  @Test("float agrees with the Double reference", arguments: shapes.indices, fastInstructions)
  func agreesWithReference(index: Int, instructions: Instructions) throws {
    let s = Self.shapes[index]
    let model = try BPTTCase(
      vocabulary: s.vocabulary, hidden: s.hidden, layers: s.layers, heads: s.heads, streams: s.streams,
      tokens: s.tokens,
      seed: UInt64(index))
    var states = model.zeroStates
    let exact = model.exact(states: &states)
    let bptt = try model.estimator(instructions: instructions)
    let result = model.window(bptt)
    #expect(result.isFinite && result.hasGradient)
    #expect(abs(result.loss - exact.loss) < 1e-6 * max(1, exact.loss))
    let norm = exact.gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
    if norm > 0 {
      #expect(bptt.relativeError(exact.gradient) < 5e-6, "\(s) \(instructions)")
      #expect(abs(result.gradientNorm - norm) < 1e-5 * norm)
      expectEachTensor(model, bptt, exact.gradient, norm: norm)
    }
    expectStates(model, bptt, states)
  }

  /// A small tensor must not hide its errors behind a large one.
  private func expectEachTensor(_ model: BPTTCase, _ bptt: BPTT, _ exact: [Double], norm: Double) {
    for slice in model.shape.tensors {
      let error = slice.range.map { abs(Double(bptt.gradient[$0]) - exact[$0]) }.max()!
      let largest = slice.range.map { abs(exact[$0]) }.max()!
      #expect(error < 1e-5 * largest + 1e-7 * norm, "\(slice.tensor)")
    }
  }

  private func expectStates(_ model: BPTTCase, _ bptt: BPTT, _ states: [ReferenceLSTM.State]) {
    let units = bptt.plan.topUnits
    for layer in 0..<model.shape.layers {
      for stream in 0..<model.streams {
        let h = bptt.states.pointer + (2 * layer * model.streams + stream) * units
        let c = h + model.streams * units
        for u in 0..<units {
          let isPadding = u >= model.shape.hiddenSize
          #expect(abs(Double(h[u]) - (isPadding ? 0 : states[stream].h[layer][u])) < 1e-5)
          #expect(abs(Double(c[u]) - (isPadding ? 0 : states[stream].c[layer][u])) < 1e-5)
        }
      }
    }
  }

  @Test("windows with carried states agree with the reference; a new context begins from zero")
  func truncatedWindows() throws {
    let model = try BPTTCase(vocabulary: 11, hidden: 10, layers: 2, streams: 3, tokens: 60)
    let ledger = MemoryLedger()
    let bptt = try model.estimator(window: 21, .every(16), ledger: ledger)
    let memory = ledger.snapshot()
    var states = model.zeroStates
    for (number, range) in [0..<21, 21..<42, 42..<60].enumerated() {
      let exact = model.exact(range, states: &states)
      let result = model.window(bptt, range, number: number)
      #expect(abs(result.loss - exact.loss) < 1e-6)
      #expect(bptt.relativeError(exact.gradient) < 5e-6)
    }
    #expect(ledger.snapshot() == memory, "memory does not depend on the context")
    bptt.beginContext()
    states = model.zeroStates
    let exact = model.exact(0..<21, states: &states)
    _ = model.window(bptt, 0..<21)
    #expect(bptt.relativeError(exact.gradient) < 5e-6)
  }
}
