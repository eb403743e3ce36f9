import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

@Suite("Gradients of marked streams")
struct MarkedTargetTests {
  static let shapes = [
    ModelShape(vocabularySize: 5, hiddenSize: 3), ModelShape(vocabularySize: 14, hiddenSize: 5, layers: 2),
    ModelShape(vocabularySize: 6, hiddenSize: 8, layers: 2, heads: 2),
  ]

  /// Stream s: of every s + 2 tokens one is a target.
  private func mark(_ streams: inout [[UInt32]]) {
    for s in streams.indices {
      for t in streams[s].indices where t % (s + 2) != 1 { streams[s][t] |= TokenMark.mark }
    }
  }

  /// The places of the targets among the predictions of inputs 0..<count.
  private func targets(_ row: [UInt32], _ count: Int) -> [Int] {
    (0..<count).filter { row[$0 + 1] & TokenMark.mark == 0 }
  }

  /// The exact gradient of the sum of a stream's losses over its targets.
  private func gradient(
    _ model: ReferenceLSTM, _ theta: [Double], _ row: [UInt32], _ count: Int
  ) -> [Double] {
    let tokens = row[0...count].map { Int($0 & TokenMark.id) }
    var sum = Array(repeating: 0.0, count: theta.count)
    for t in targets(row, count) {
      let one = model.gradient(theta, tokens, from: model.zeroState, counted: t..<t + 1)
      for i in sum.indices { sum[i] += one[i] }
    }
    return sum
  }

  private func cdrge(_ mode: EstimatorMode, pairs: Int, streams: Int, epsilon: Float) -> CDRGE.Configuration {
    CDRGE.Configuration(
      pairs: pairs, epsilon: epsilon, kind: mode.kind, exactReadout: mode.exact, streams: streams, chunk: 5,
      seed: 11)
  }

  @Test("cd-rge: a pair's slope is z·∇ of its own targets' losses", arguments: shapes, EstimatorMode.all)
  func slopes(_ shape: ModelShape, _ mode: EstimatorMode) throws {
    let (pairs, count, epsilon) = (20, 10, 0x1p-6)
    let under = try EstimatorUnderTest(
      shape, cdrge(mode, pairs: pairs, streams: 3, epsilon: Float(epsilon)), seed: 3)
    mark(&under.streams)
    under.window(0, chunks: [5, 5])
    let model = shape.reference
    let exact = under.streams.map { gradient(model, under.theta, $0, count) }
    let sums = count * shape.layers * (4 * shape.hiddenSize + 6) + shape.vocabularySize
    for pair in 0..<pairs {
      let stream = under.estimator.population.stream(ofPair: pair)
      let z = under.direction(ofPair: pair)
      let tokens = under.tokens(0, count, stream: stream)
      let places = targets(under.streams[stream], count)
      let difference = centralDifference(
        { theta in
          places.reduce(0) { $0 + model.loss(theta, tokens, from: model.zeroState, counted: $1..<$1 + 1) }
        },
        at: under.theta, along: z, epsilon: epsilon)
      let measured = under.coefficient(ofPair: pair, tokens: 1)
      #expect(abs(measured - difference) <= 2 * Double(sums) * 0x1p-23 / epsilon, "pair \(pair)")
      #expect(abs(measured - dot(exact[stream], z)) < 0.05 * Double(places.count), "pair \(pair)")
    }
  }

  @Test("cd-rge: one divisor for all pairs", arguments: EstimatorMode.all)
  func divisor(_ mode: EstimatorMode) throws {
    let shape = Self.shapes[1]
    let (pairs, count) = (21, 10)
    let under = try EstimatorUnderTest(shape, cdrge(mode, pairs: pairs, streams: 3, epsilon: 0.125), seed: 5)
    mark(&under.streams)
    let result = under.window(0, chunks: [5, 5])
    let counts = under.streams.map { targets($0, count).count }
    #expect(result.targets == counts.reduce(0, +) && Set(counts).count == 3)
    let all = (0..<pairs).reduce(0) { $0 + counts[under.estimator.population.stream(ofPair: $1)] }
    // The bias is read at every token: its estimate is the sum over all pairs.
    let bias = shape.slice(.bias(1)).range
    for i in bias {
      let expected = (0..<pairs).reduce(0.0) {
        $0 + under.coefficient(ofPair: $1, tokens: all) * under.direction(ofPair: $1)[i]
      }
      #expect(abs(under.gradient[i] - expected) < 1e-5, "parameter \(i)")
    }
    let losses = (0..<pairs).reduce(0.0) {
      let loss = under.estimator.population.loss(ofPair: $1)
      return $0 + loss.plus + loss.minus
    }
    #expect(abs(result.loss - losses / Double(2 * all)) < 1e-9)
  }

  @Test(
    "cd-rge: the exact readout's gradient is that of the targets", arguments: shapes, DirectionKind.allCases)
  func exactReadout(_ shape: ModelShape, _ kind: DirectionKind) throws {
    let (pairs, count, epsilon) = (6, 10, Float(0x1p-10))
    let mode = EstimatorMode(kind: kind, exact: true)
    let first = shape.slice(.readout).offset
    for chunks in [[5, 5], [1, 4, 5], [3, 3, 3, 1]] {
      let under = try EstimatorUnderTest(
        shape, cdrge(mode, pairs: pairs, streams: 3, epsilon: epsilon), seed: 13)
      mark(&under.streams)
      under.window(0, chunks: chunks)
      let exact = under.streams.map { gradient(shape.reference, under.theta, $0, count) }
      let all = under.streams.reduce(0) { $0 + targets($1, count).count }
      let tolerance = Double(epsilon * epsilon) * Double(shape.parameterCount) + 240 * 0x1p-24
      for i in first..<shape.parameterCount {
        let expected = exact.reduce(0) { $0 + $1[i] } / Double(all)
        #expect(abs(under.gradient[i] - expected) <= tolerance, "\(chunks), \(i)")
      }
    }
  }

  @Test(
    "cd-rge: a window without targets has no gradient and carries the states", arguments: EstimatorMode.all)
  func emptyWindow(_ mode: EstimatorMode) throws {
    func run(marked: Bool) throws -> EstimatorUnderTest {
      let under = try EstimatorUnderTest(
        Self.shapes[1], cdrge(mode, pairs: 20, streams: 3, epsilon: 0.1), seed: 17)
      if marked { for s in 0..<3 { for t in 0...5 { under.streams[s][t] |= TokenMark.mark } } }
      let result = under.window(0, chunks: [5])
      #expect(result.hasGradient == !marked && result.refusal == nil)
      #expect(result.targets == (marked ? 0 : 15) && result.loss.isFinite)
      under.window(1, from: 5, chunks: [5])
      return under
    }
    let (marked, plain) = (try run(marked: true), try run(marked: false))
    expectSame(marked.estimator.population.states.array, plain.estimator.population.states.array)
    expectSame(marked.gradientBits, plain.gradientBits, "what came before must leave no trace")
  }

  @Test("bptt: the gradient is that of the targets, whatever the schedule", arguments: fastInstructions)
  func exactGradient(_ instructions: Instructions) throws {
    for (vocabulary, hidden, layers, heads) in [(5, 4, 1, 1), (17, 16, 2, 1), (9, 40, 3, 5), (33, 31, 1, 1)] {
      var model = try BPTTCase(
        vocabulary: vocabulary, hidden: hidden, layers: layers, heads: heads, streams: 3, tokens: 37, seed: 23
      )
      mark(&model.rows)
      let exact = model.rows.map { gradient(model.reference, model.theta, $0, 37) }
      let count = model.rows.reduce(0) { $0 + targets($1, 37).count }
      let mean = exact[0].indices.map { i in exact.reduce(0) { $0 + $1[i] } / Double(count) }
      var bits: [UInt32] = []
      for checkpointing in [Checkpointing.none, .sqrt, .every(16)] {
        let bptt = try model.estimator(checkpointing, instructions: instructions)
        let result = model.window(bptt)
        #expect(result.hasGradient && result.targets == count)
        #expect(bptt.relativeError(mean) < 5e-6)
        if bits.isEmpty { bits = bptt.bits }
        expectSame(bptt.bits, bits, "\(checkpointing)")
      }
    }
  }

  @Test("bptt: a window without targets has no gradient and carries the states")
  func emptyExactWindow() throws {
    var model = try BPTTCase(vocabulary: 11, hidden: 10, layers: 2, streams: 3, tokens: 80)
    let plain = try model.estimator(window: 40, .every(16))
    _ = model.window(plain, 0..<40)
    _ = model.window(plain, 40..<80)
    for s in model.rows.indices { for t in 0...40 { model.rows[s][t] |= TokenMark.mark } }
    let marked = try model.estimator(window: 40, .every(16))
    let result = model.window(marked, 0..<40)
    #expect(!result.hasGradient && result.refusal == nil && result.loss == 0 && result.targets == 0)
    _ = model.window(marked, 40..<80)
    expectSame(marked.stateBits, plain.stateBits)
    expectSame(marked.bits, plain.bits)
  }
}
