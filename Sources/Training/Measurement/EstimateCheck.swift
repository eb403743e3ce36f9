import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooStream

/// CD-RGE held against theory: the cosine of an estimate from n directions with the exact gradient of d parameters is
/// √(n/(n + d − 1)) where the loss is linear, for directions with E[zzᵀ] = I and ‖z‖² = d.
///
/// One window of the data from a zero state, a small model at its start, everything perturbed, ε so small that the loss is
/// linear. Parameters that the window cannot move, the rows of tokens that are not in it, count neither here nor there.
package struct EstimateCheck {
  package static let hiddenSize = 16
  package static let tokens = 32
  package static let pairs = [64, 256, 1024]
  package static let directions: [(choice: Perturbation, rank: Int)] = [
    (.rank1, 1), (.rank1, 4), (.rademacher, 1), (.gaussian, 1),
  ]
  /// Draws of as many directions in all; at most 256 draws.
  static func repetitions(_ pairs: Int) -> Int { min(256, (1 << 15) / pairs) }
  package static let epsilon: Float = 0x1p-10

  /// How near the estimates from so many pairs came to the exact gradient.
  package struct Row {
    package var directions: DirectionKind
    package var parameters: Int
    package var pairs: Int
    package var cosine: Double
    package var standardError: Double
    package var theory: Double {
      directions.predictedCosine(pairs: Double(pairs), parameters: Double(parameters))
    }

    /// One line.
    package var json: String {
      "{\"directions\":\"\(directions)\",\"parameters\":\(parameters),\"pairs\":\(pairs),"
        + "\"cosine\":\(JSONText.number(cosine)),\"standard_error\":\(JSONText.number(standardError)),"
        + "\"theory\":\(JSONText.number(theory)),\"repetitions\":\(EstimateCheck.repetitions(pairs))}"
    }
  }

  private let stop: () -> Bool
  private let pool: ThreadPool
  private let configuration: RunPlan
  private let weights: Parameters
  /// [1][tokens + 1]
  private let rows: TokenRows
  private let exact: [Float]

  /// - Parameters:
  ///   - common: the data, the seed and the threads; not settled. The model is a small one whatever it says.
  ///   - stop: asked before every draw; true ends the check.
  /// - Throws: what reading the data throws, and data with too few tokens.
  package init(common: RunPlan, stop: @escaping () -> Bool = { false }) throws {
    self.stop = stop
    var c = common
    c.estimator.family = .bptt
    c = try c.ready()
    (c.model.hiddenSize, c.model.layers, c.streaming.streams, c.streaming.window, c.streaming.context) = (
      Self.hiddenSize, 1, 1, .tokens(Self.tokens), 0
    )
    (c.estimator.readout, c.estimator.epsilon, c.estimator.lifetime, c.estimator.clipNorm) = (
      .zo, Double(Self.epsilon), 1, 0
    )
    c.estimator.checkpointing = .none
    pool = try ThreadPool(threads: c.run.threads)
    configuration = c
    let ledger = MemoryLedger()
    weights = try Parameters(c.shape, ledger: ledger)
    weights.initialize(seed: c.run.seed)
    rows = try TokenRows(
      streams: 1, chunk: Self.tokens, vocabularySize: c.data.vocabularySize, ledger: ledger)
    var data = c.trainingData
    data.chunkTokens = Self.tokens
    let feed = try TokenFeed(data, resume: nil, ledger: ledger)
    guard try rows.fill(Self.tokens, from: feed) == Self.tokens else {
      throw RunFailure.badData("the data has fewer than \(Self.tokens + 1) tokens")
    }
    let bptt = try c.makeEstimator(pool: pool, ledger: ledger)
    exact = Self.gradient(bptt, weights, rows, window: 0)
  }

  /// One line of the table.
  /// - Throws: `RunStopped`.
  package func run(_ choice: Perturbation, rank: Int, pairs: Int) throws -> Row {
    var c = configuration
    (c.estimator.family, c.estimator.perturbation, c.estimator.rank, c.estimator.pairs) = (
      .standard, choice, rank, pairs
    )
    // Lines of the table with directions in common would be off in common.
    c.run.seed =
      c.run.seed &+ UInt64(pairs + (choice == .rank1 ? rank - 1 : choice == .rademacher ? 1 << 20 : 1 << 21))
    let estimator = try c.makeEstimator(pool: pool, ledger: MemoryLedger())
    var (sum, squares) = (0.0, 0.0)
    for window in 0..<Self.repetitions(pairs) {
      if stop() { throw RunStopped() }
      let estimate = Self.gradient(estimator, weights, rows, window: window)
      let cosine = GradientComparison.cosine(estimate, exact)
      sum += cosine
      squares += cosine * cosine
    }
    let n = Double(Self.repetitions(pairs))
    let variance = (squares - sum * sum / n) / (n - 1)
    return Row(
      directions: c.directions, parameters: movedParameters, pairs: pairs, cosine: sum / n,
      standardError: (max(variance, 0) / n).squareRoot())
  }

  /// All but the rows of tokens that are not in the window.
  private var movedParameters: Int {
    let shape = configuration.shape
    let read = Set(rows.values.elements.prefix(Self.tokens))
    return shape.parameterCount - (shape.vocabularySize - read.count) * shape.slice(.table).columns
  }

  private static func gradient(
    _ estimator: some GradientEstimator, _ weights: Parameters, _ rows: TokenRows, window: Int
  ) -> [Float] {
    estimator.take(weights)
    estimator.beginContext()
    estimator.beginWindow(window)
    estimator.consume(rows.block(tokens))
    _ = estimator.finishWindow(tokens: tokens)
    return Array(estimator.gradient.elements)
  }
}
