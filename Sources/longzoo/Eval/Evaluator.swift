import Memory
import Model
import Stream

/// Runs the unperturbed model over a token sequence, its state carried from a zero state through all of it, or through pieces
/// that threads share.
final class Evaluator {
  private let readers: [EvaluationReader]
  private let baseline: NGramBaseline
  private let isMarked: Bool

  /// Without the weights, which are somebody else's.
  static func byteCount(for layout: Layout, readers: Int = 1) -> MemoryTable {
    var table = MemoryTable()
    table[.activations] =
      readers * EvaluationReader.byteCount(for: layout)
      + NGramBaseline.byteCount(vocabulary: layout.shape.vocabularySize)
    return table
  }

  /// - Parameters:
  ///   - isMarked: whether answers are to be scored.
  ///   - readers: threads that may share the pieces of the data.
  init(
    _ weights: PackedWeights, isMarked: Bool, readers: Int = 1, ledger: MemoryLedger
  ) throws(MemoryError) {
    self.isMarked = isMarked
    var all: [EvaluationReader] = []
    for _ in 0..<readers { all.append(try EvaluationReader(weights, ledger: ledger)) }
    self.readers = all
    baseline = try NGramBaseline(vocabulary: weights.shape.vocabularySize, ledger: ledger)
  }

  /// - Parameters:
  ///   - data: the same data for every reader.
  ///   - limit: predictions to make at most; 0: all.
  ///   - resetEvery: tokens after which the state goes back to zero; 0: never.
  ///   - pool: of at least as many threads as there are readers, if there are several.
  ///   - stop: asked again and again, by every thread; true gives the evaluation up.
  /// - Returns: nil if it was given up, or there is nothing to predict.
  func evaluate(
    _ data: [HeldOutReader], limit: Int = 0, resetEvery: Int = 0, on pool: ThreadPool? = nil,
    stop: @Sendable () -> Bool = { false }
  ) throws(StreamError) -> Evaluation? {
    precondition(data.count == readers.count && (readers.count == 1 || resetEvery > 0))
    baseline.reset()
    var results = [Result<(sums: [EvaluationSums], tokens: Int), StreamError>?](
      repeating: nil, count: readers.count)
    results.withUnsafeMutableBufferPointer { results in
      func run(_ index: Int) {
        let share = EvaluationReader.Share(
          limit: limit, resetEvery: resetEvery, reader: index, readers: self.readers.count)
        results[index] = Result { () throws(StreamError) in
          try self.readers[index].run(
            data[index], share, baseline: index == 0 ? self.baseline : nil, stop: stop)
        }
      }
      if let pool { pool.run(readers.count) { index, _ in run(index) } } else { run(0) }
    }
    var lanes = [EvaluationSums](repeating: EvaluationSums(), count: EvaluationReader.lanes)
    var tokens = 0
    for result in results {
      let part = try result!.get()
      tokens = part.tokens
      for lane in lanes.indices { lanes[lane].add(part.sums[lane]) }
    }
    var sums = EvaluationSums()
    for lane in lanes { sums.add(lane) }
    guard sums.targets > 0, !stop() else { return nil }
    return Evaluation(
      tokens: tokens, targets: sums.targets, lossNats: sums.lossNats, unigramBits: baseline.unigramBits,
      bigramBits: baseline.bigramBits, lossByPosition: sums.lossByPosition,
      answers: isMarked ? sums.score : nil)
  }
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
    evaluator = try Evaluator(
      model.weightsToEvaluate(ledger: ledger), isMarked: c.targets == .marked, ledger: ledger)
  }

  func evaluate(stop: @Sendable () -> Bool) throws -> Evaluation? {
    model.prepareEvaluation()
    return try evaluator.evaluate([reader], limit: configuration.evalTokens, stop: stop)
  }
}
