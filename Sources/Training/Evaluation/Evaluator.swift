import LongzooMemory
import LongzooModel
import LongzooStream

/// Runs the unperturbed model over a token sequence, its state carried from a zero state through all of it, or through pieces
/// between resets. Threads share either, and the figures do not depend on how many there are.
package final class Evaluator {
  private let readers: [EvaluationReader]
  private let baseline: NGramBaseline
  private let isMarked: Bool

  /// Without the weights, which are somebody else's.
  package static func byteCount(for layout: Layout, readers: Int = 1, threads: Int = 1) -> MemoryTable {
    var table = MemoryTable()
    table[.activations] =
      readers * EvaluationReader.byteCount(for: layout, threads: threads)
      + NGramBaseline.byteCount(vocabulary: layout.shape.vocabularySize)
    return table
  }

  /// - Parameters:
  ///   - isMarked: whether answers are to be scored.
  ///   - readers: threads that may share the pieces between resets.
  ///   - threads: that may share a sequence without resets, where there is one reader.
  package init(
    _ weights: PackedWeights, isMarked: Bool, readers: Int = 1, threads: Int = 1, ledger: MemoryLedger
  ) throws(MemoryError) {
    precondition(readers == 1 || threads == 1, "threads share pieces or a sequence")
    self.isMarked = isMarked
    var all: [EvaluationReader] = []
    for _ in 0..<readers { all.append(try EvaluationReader(weights, threads: threads, ledger: ledger)) }
    self.readers = all
    baseline = try NGramBaseline(vocabulary: weights.shape.vocabularySize, ledger: ledger)
  }

  /// - Parameters:
  ///   - data: the same data for every reader.
  ///   - limit: predictions to make at most; 0: all.
  ///   - resetEvery: tokens after which the state goes back to zero; 0: never.
  ///   - pool: of at least as many threads as were named, if there are several.
  ///   - observe: told again and again, on the caller's thread, how many predictions the first reader has come by.
  ///   - stop: asked again and again, by every thread; true gives the evaluation up.
  /// - Returns: what was measured until it was given up, without the tables' bits; nil if there was nothing to predict.
  package func evaluate(
    _ data: [HeldOutReader], limit: Int = 0, resetEvery: Int = 0, on pool: ThreadPool? = nil,
    observe: (Int) -> Void = { _ in }, stop: @Sendable () -> Bool = { false }
  ) throws(StreamError) -> Evaluation? {
    precondition(data.count == readers.count && (readers.count == 1 || resetEvery > 0))
    baseline.reset()
    var results = [Result<(sums: [EvaluationSums], isPartial: Bool), StreamError>?](
      repeating: nil, count: readers.count)
    results.withUnsafeMutableBufferPointer { results in
      func run(_ index: Int, on pool: ThreadPool?) {
        let share = EvaluationReader.Share(
          limit: limit, resetEvery: resetEvery, reader: index, readers: self.readers.count)
        results[index] = Result { () throws(StreamError) in
          try self.readers[index].run(
            data[index], share, baseline: index == 0 ? self.baseline : nil, on: pool,
            observe: index == 0 ? observe : { _ in }, stop: stop)
        }
      }
      if let pool, readers.count > 1 {
        pool.run(readers.count) { index, _ in run(index, on: nil) }
      } else {
        run(0, on: pool)
      }
    }
    var lanes = [EvaluationSums](repeating: EvaluationSums(), count: EvaluationReader.lanes)
    var isPartial = false
    for result in results {
      let part = try result!.get()
      isPartial = isPartial || part.isPartial
      for lane in lanes.indices { lanes[lane].add(part.sums[lane]) }
    }
    var sums = EvaluationSums()
    for lane in lanes { sums.add(lane) }
    guard sums.targets > 0 else { return nil }
    // The tables have counted a whole block, and of several readers all that the first one came by.
    return Evaluation(
      tokens: sums.tokens, targets: sums.targets, lossNats: sums.lossNats,
      unigramBits: isPartial ? nil : baseline.unigramBits, bigramBits: isPartial ? nil : baseline.bigramBits,
      lossByPosition: sums.lossByPosition, answers: isMarked ? sums.score : nil, isPartial: isPartial)
  }
}
