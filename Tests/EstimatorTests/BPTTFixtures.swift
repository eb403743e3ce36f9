import LongzooMemory
import LongzooModel
import LongzooTestSupport

@testable import LongzooEstimator

/// A random model, random tokens for some streams, and the exact answer in Double beside them.
struct BPTTCase {
  let shape: ModelShape
  let streams: Int
  let parameters: Parameters
  /// [streams][tokens + 1]
  var rows: [[UInt32]]
  var tokens: Int { rows[0].count - 1 }
  var reference: ReferenceLSTM {
    ReferenceLSTM(
      vocabulary: shape.vocabularySize, hidden: shape.hiddenSize, layers: shape.layers, heads: shape.heads)
  }
  var theta: [Double] { parameters.values.elements.map(Double.init) }

  init(
    vocabulary: Int, hidden: Int, layers: Int = 1, heads: Int = 1, cell: Cell = .lstm, streams: Int,
    tokens: Int, seed: UInt64 = 1
  ) throws {
    try self.init(
      ModelShape(vocabularySize: vocabulary, hiddenSize: hidden, layers: layers, heads: heads, cell: cell),
      streams: streams, tokens: tokens, seed: seed)
  }

  init(_ shape: ModelShape, streams: Int, tokens: Int, seed: UInt64 = 1) throws {
    self.shape = shape
    self.streams = streams
    var random = ModelRandom(seed)
    parameters = try Parameters(shape, ledger: MemoryLedger())
    let scale = 2 / Double(shape.hiddenSize).squareRoot()
    for i in 0..<parameters.values.count { parameters.values[i] = Float(scale * random.unit()) }
    rows = (0..<streams).map { _ in random.tokens(tokens + 1, vocabulary: shape.vocabularySize) }
  }

  /// One window of these tokens, in chunks.
  func window(
    _ bptt: BPTT, _ range: Range<Int>? = nil, chunk: Int = .max, number: Int = 0
  ) -> BPTT.WindowResult {
    let range = range ?? 0..<tokens
    bptt.take(parameters)
    bptt.beginWindow(number)
    var first = range.lowerBound
    while first < range.upperBound {
      let count = min(chunk, range.upperBound - first)
      // A stride that is longer than the rows, as readers have it.
      var values = [UInt32](repeating: .max, count: streams * (count + 3))
      for (stream, row) in rows.enumerated() {
        for i in 0...count { values[stream * (count + 3) + i] = row[first + i] }
      }
      bptt.consume(values, stride: count + 3, count: count)
      first += count
    }
    return bptt.finishWindow(tokens: range.count)
  }

  func estimator(
    window: Int? = nil, _ checkpointing: Checkpointing = .none, clip: Float? = nil, threads: Int = 1,
    instructions: Instructions = .best, ledger: MemoryLedger = MemoryLedger()
  ) throws -> BPTT {
    let c = BPTT.Configuration(
      streams: streams, window: window ?? tokens, checkpointing: checkpointing, clip: clip)
    return try BPTT(
      shape, c, pool: try ThreadPool(threads: threads), instructions: instructions, ledger: ledger)
  }

  /// The exact gradient of the mean loss over a window, from given states, which then are those behind it.
  func exact(_ range: Range<Int>? = nil, states: inout [ReferenceLSTM.State]) -> (
    loss: Double, gradient: [Double]
  ) {
    let range = range ?? 0..<tokens
    let scale = 1 / Double(range.count * streams)
    var sum = [Double](repeating: 0, count: shape.parameterCount)
    var loss = 0.0
    for (stream, row) in rows.enumerated() {
      let text = row[range.lowerBound...range.upperBound].map(Int.init)
      for (i, value) in reference.gradient(theta, text, from: states[stream]).enumerated() {
        sum[i] += value * scale
      }
      loss += reference.losses(theta, text, state: &states[stream]).reduce(0, +) * scale
    }
    return (loss, sum)
  }

  var zeroStates: [ReferenceLSTM.State] { Array(repeating: reference.zeroState, count: streams) }
}

extension BPTT {
  var bits: [UInt32] { gradient.elements.map(\.bitPattern) }
  var stateBits: [UInt32] { states.elements.map(\.bitPattern) }

  /// ‖g − exact‖ / ‖exact‖
  func relativeError(_ exact: [Double]) -> Double {
    var (difference, norm) = (0.0, 0.0)
    for (i, value) in exact.enumerated() {
      difference += (Double(gradient[i]) - value) * (Double(gradient[i]) - value)
      norm += value * value
    }
    return (difference / norm).squareRoot()
  }
}

/// Every fast kernel that this processor runs.
let fastInstructions = Instructions.allCases.filter { $0 != .reference && $0.isSupported }
