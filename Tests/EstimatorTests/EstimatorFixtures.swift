import Memory
import Model
import TestSupport
import Testing

@testable import Estimator

/// For long values: a failing #expect would print all of them.
func expectSame<T: Equatable>(
  _ a: T, _ b: T, _ comment: @autoclosure () -> String = "they differ",
  at location: SourceLocation = #_sourceLocation
) {
  if a != b { Issue.record(Comment(rawValue: comment()), sourceLocation: location) }
}

extension Buffer {
  /// A copy. `elements` itself must not be the last use of what owns a buffer: it does not keep it alive.
  var array: [Element] { Array(elements) }
}

extension Layout {
  var signMap: ModelSignMap {
    ModelSignMap(
      model: shape.reference, isDense: kind == .rademacher, exactReadout: exactReadout,
      gateStride: gateStride,
      table: signs(.table), kernels: (0..<shape.layers).map { signs(.kernel($0)) },
      biases: (0..<shape.layers).map { signs(.bias($0)).rows }, readout: signs(.readout),
      readoutBias: signs(.readoutBias).rows)
  }
}

extension ModelShape {
  var reference: ReferenceLSTM {
    ReferenceLSTM(vocabulary: vocabularySize, hidden: hiddenSize, layers: layers, heads: heads)
  }

  func isReadout(_ parameter: Int) -> Bool { parameter >= slice(.readout).offset }
}

/// A direction kind with and without the exact readout.
struct EstimatorMode: Sendable, CustomTestStringConvertible {
  var kind: DirectionKind
  var exact: Bool

  static let all = DirectionKind.allCases.flatMap { kind in
    [false, true].map { EstimatorMode(kind: kind, exact: $0) }
  }
  var testDescription: String { "\(kind), \(exact ? "exact" : "zo") readout" }
}

/// A model with random weights in ±1, random tokens for each stream, and the estimator on it.
final class EstimatorUnderTest {
  let shape: ModelShape
  let parameters: Parameters
  let estimator: CDRGE
  let pool: ThreadPool
  /// [stream][token]
  var streams: [[UInt32]]

  init(
    _ shape: ModelShape, _ configuration: CDRGE.Configuration, threads: Int = 1, seed: UInt64,
    ledger: MemoryLedger = MemoryLedger()
  ) throws {
    GEMM.useCallingThreadOnly()
    self.shape = shape
    pool = ThreadPool(threads: threads)
    parameters = try Parameters(shape, ledger: ledger)
    estimator = try CDRGE(shape, configuration, pool: pool, ledger: ledger)
    var random = ModelRandom(seed)
    for i in 0..<parameters.values.count { parameters.values[i] = Float(random.unit()) }
    streams = (0..<configuration.streams).map { _ in random.tokens(64, vocabulary: shape.vocabularySize) }
    estimator.take(parameters)
  }

  var theta: [Double] { parameters.values.array.map(Double.init) }
  var gradient: [Double] { estimator.gradient.array.map(Double.init) }
  var gradientBits: [UInt32] { estimator.gradient.array.map(\.bitPattern) }

  /// Inputs start..<start + count of a stream, and their targets.
  func tokens(_ start: Int, _ count: Int, stream: Int = 0) -> [Int] {
    streams[stream][start...start + count].map { Int($0 & TokenMark.id) }
  }

  /// One whole window from token `start` of every stream, in chunks.
  @discardableResult
  func window(_ number: Int, from start: Int = 0, chunks: [Int]) -> CDRGE.WindowResult {
    estimator.beginWindow(number)
    consume(from: start, chunks: chunks)
    return estimator.finishWindow(tokens: chunks.reduce(0, +))
  }

  func consume(from start: Int, chunks: [Int]) {
    let flat = streams.flatMap { $0 }
    let stride = streams[0].count
    var first = start
    for count in chunks {
      flat.withUnsafeBufferPointer {
        estimator.consume($0.baseAddress! + first, stride: stride, count: count)
      }
      first += count
    }
  }

  func direction(ofPair pair: Int) -> [Double] {
    let words = estimator.population.signs.pointer + pair / 16 * estimator.layout.signsPerTile
    return estimator.layout.signMap.direction(bit: pair % 16, of: words)
  }

  /// (L₊ − L₋)/2ε of a pair, L the mean loss of the window's tokens.
  func coefficient(ofPair pair: Int, tokens: Int) -> Double {
    let loss = estimator.population.loss(ofPair: pair)
    return (loss.plus - loss.minus) / (2 * Double(estimator.configuration.epsilon) * Double(tokens))
  }
}
