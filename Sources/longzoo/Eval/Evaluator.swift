import Foundation
import Memory
import Model
import Stream

/// What a model does on tokens that it was not trained on.
struct Evaluation {
  /// Tokens that were predicted.
  var tokens: Int
  var lossNats: Double
  var unigramBits: Double?
  var bigramBits: Double?
  /// Mean loss of the tokens at positions 2^i ..< 2^(i+1) since the state was zero, in nats.
  var lossByPosition: [Double]

  var bitsPerToken: Double { lossNats / log(2) }
}

/// Runs one unperturbed model over a token sequence, its state carried from a zero state through all of it.
final class Evaluator {
  private static let piece = 4096

  private let model: SequenceModel
  private let baseline: NGramBaseline
  private let tokens: Buffer<UInt32>
  private let losses: Buffer<Float>

  /// Without the weights, which are somebody else's.
  static func byteCount(for layout: Layout) -> MemoryTable {
    var table = MemoryTable()
    table[.activations] =
      SequenceModel.byteCount(for: layout) + NGramBaseline.byteCount(vocabulary: layout.shape.vocabularySize)
      + Buffer<UInt32>.byteCount(for: piece + 1) + Buffer<Float>.byteCount(for: piece)
    return table
  }

  init(_ weights: PackedWeights, ledger: MemoryLedger) throws(MemoryError) {
    model = try SequenceModel(weights, ledger: ledger)
    baseline = try NGramBaseline(vocabulary: weights.shape.vocabularySize, ledger: ledger)
    tokens = try Buffer(count: Self.piece + 1, .activations, for: "the evaluated tokens", ledger: ledger)
    losses = try Buffer(count: Self.piece, .activations, for: "the evaluated losses", ledger: ledger)
  }

  /// - Parameters:
  ///   - limit: predictions to make at most; 0: all.
  ///   - resetEvery: tokens after which the state goes back to zero; 0: never.
  ///   - stop: asked between pieces; true gives the evaluation up.
  /// - Returns: nil if it was given up, or there is nothing to predict.
  func evaluate(
    _ reader: HeldOutReader, limit: Int = 0, resetEvery: Int = 0, stop: () -> Bool = { false }
  ) throws(StreamError) -> Evaluation? {
    model.reset()
    baseline.reset()
    reader.rewind()
    var positions = PositionMeans()
    var predicted = 0
    var total = 0.0
    var sinceReset = 0
    var carried = 0
    while !stop() {
      var wanted = Self.piece
      if limit > 0 { wanted = min(wanted, limit - predicted) }
      if resetEvery > 0 { wanted = min(wanted, resetEvery - sinceReset) }
      if wanted == 0 { break }
      var room = UnsafeMutableBufferPointer(rebasing: tokens.elements[carried...wanted]).mutableSpan
      let count = carried + (try reader.next(into: &room))
      guard count > 1 else { break }
      let piece = UnsafeBufferPointer(rebasing: tokens.elements[..<count])
      total += model.run(piece, losses: losses.pointer)
      baseline.add(piece)
      positions.add(losses.elements[..<(count - 1)], from: sinceReset)
      predicted += count - 1
      sinceReset += count - 1
      tokens[0] = tokens[count - 1]
      carried = 1
      if sinceReset == resetEvery {
        model.reset()
        sinceReset = 0
      }
    }
    guard predicted > 0, !stop() else { return nil }
    return Evaluation(
      tokens: predicted, lossNats: total / Double(predicted), unigramBits: baseline.unigramBits,
      bigramBits: baseline.bigramBits, lossByPosition: positions.means)
  }
}

/// Mean losses by the power of two below the position.
private struct PositionMeans {
  private var sums = [Double](repeating: 0, count: 64)
  private var counts = [Int](repeating: 0, count: 64)

  mutating func add(_ losses: Slice<UnsafeMutableBufferPointer<Float>>, from position: Int) {
    for (index, loss) in losses.enumerated() {
      let bucket = Int.bitWidth - 1 - (position + index + 1).leadingZeroBitCount
      sums[bucket] += Double(loss)
      counts[bucket] += 1
    }
  }

  var means: [Double] { zip(sums, counts).prefix { $0.1 > 0 }.map { $0.0 / Double($0.1) } }
}

/// The evaluation that belongs to a training run.
final class HeldOutEvaluator {
  private let configuration: RunConfiguration
  private let model: any TrainingState
  private let evaluator: Evaluator
  private let reader: HeldOutReader

  /// nil where nothing is held out.
  init?(
    _ c: RunConfiguration, _ model: any TrainingState, totalTokens: Int?, ledger: MemoryLedger
  ) throws {
    guard let data = c.heldOutData else { return nil }
    configuration = c
    reader = try HeldOutReader(data, totalTokens: c.valPath == nil ? totalTokens : nil, ledger: ledger)
    self.model = model
    evaluator = try Evaluator(model.weightsToEvaluate(ledger: ledger), ledger: ledger)
  }

  func evaluate(stop: () -> Bool) throws -> Evaluation? {
    model.prepareEvaluation()
    return try evaluator.evaluate(reader, limit: configuration.evalTokens, stop: stop)
  }
}
