import LongzooMemory
import LongzooModel
import LongzooTestSupport

@testable import LongzooEstimator

/// A model with random weights in ±1, random tokens for each stream, and an estimator on it.
final class UnderTest<Estimator: GradientEstimator> {
  let shape: ModelShape
  let parameters: Parameters
  let estimator: Estimator
  let pool: ThreadPool
  /// [stream][token]
  var streams: [[UInt32]]

  /// - Parameter ledger: that of the estimator; the parameters have one of their own.
  convenience init(
    _ shape: ModelShape, streams: Int, threads: Int = 1, seed: UInt64 = 21,
    ledger: MemoryLedger = MemoryLedger(),
    make: (ThreadPool, MemoryLedger) throws -> Estimator
  ) throws {
    let pool = try ThreadPool(threads: threads)
    try self.init(shape, try make(pool, ledger), streams: streams, pool: pool, seed: seed)
  }

  init(_ shape: ModelShape, _ estimator: Estimator, streams: Int, pool: ThreadPool, seed: UInt64 = 21) throws
  {
    self.shape = shape
    self.pool = pool
    self.estimator = estimator
    parameters = try Parameters(shape, ledger: MemoryLedger())
    var random = ModelRandom(seed)
    for i in 0..<parameters.values.count { parameters.values[i] = Float(random.unit()) }
    self.streams = (0..<streams).map { _ in random.tokens(64, vocabulary: shape.vocabularySize) }
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
  func window(_ number: Int, from start: Int = 0, chunks: [Int]) -> Estimator.WindowResult {
    estimator.beginWindow(number)
    consume(from: start, chunks: chunks)
    return estimator.finishWindow(tokens: chunks.reduce(0, +))
  }

  func consume(from start: Int, chunks: [Int]) {
    let flat = flatTokens
    var first = start
    for count in chunks {
      consume(flat, from: first, count: count)
      first += count
    }
  }

  /// [stream][token]
  var flatTokens: [UInt32] { streams.flatMap { $0 } }

  /// Hands over a chunk of `flatTokens`, and allocates nothing.
  func consume(_ flat: [UInt32], from first: Int, count: Int) {
    flat.withUnsafeBufferPointer {
      estimator.consume($0.baseAddress! + first, stride: flat.count / streams.count, count: count)
    }
  }

  /// Becomes what a run resumed behind a window has of another one.
  func restore(from other: UnderTest, afterWindow window: Int) {
    estimator.restore(afterWindow: window)
    let (to, from) = (estimator.carried, other.estimator.carried)
    for index in from.indices { to[index].bytes.copyMemory(from: UnsafeRawBufferPointer(from[index].bytes)) }
  }
}

typealias EstimatorUnderTest = UnderTest<CDRGE>

extension UnderTest where Estimator == CDRGE {
  convenience init(
    _ shape: ModelShape, _ configuration: CDRGE.Configuration, threads: Int = 1, seed: UInt64,
    ledger: MemoryLedger = MemoryLedger()
  ) throws {
    try self.init(shape, streams: configuration.streams, threads: threads, seed: seed, ledger: ledger) {
      try CDRGE(shape, configuration, pool: $0, ledger: $1)
    }
  }

  func direction(ofPair pair: Int) -> [Double] { estimator.population.direction(ofPair: pair) }

  /// (L₊ − L₋)/2ε of a pair, L the mean loss of the window's tokens.
  func coefficient(ofPair pair: Int, tokens: Int) -> Double {
    let loss = estimator.population.loss(ofPair: pair)
    return (loss.plus - loss.minus) / (2 * Double(estimator.configuration.epsilon) * Double(tokens))
  }
}

extension Population {
  /// z of a pair, in parameter order.
  func direction(ofPair pair: Int) -> [Double] {
    layout.signMap.direction(bit: pair % 16, of: signs.pointer + pair / 16 * layout.signsPerTile)
  }
}
