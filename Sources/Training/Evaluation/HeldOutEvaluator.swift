import LongzooMemory
import LongzooModel
import LongzooStream

/// The evaluation that belongs to a training run: its held-out tokens, and the weights that it hands out.
package final class HeldOutEvaluator {
  /// Held-out tokens; nil where they are not counted.
  package var tokens: Int? { reader.tokens }
  private let model: any TrainingState
  private let evaluator: Evaluator
  private let reader: HeldOutReader
  private let pool: ThreadPool

  /// nil where nothing is held out.
  package init?(
    _ c: RunPlan, _ model: any TrainingState, totalTokens: Int?, pool: ThreadPool,
    host: RunHost, ledger: MemoryLedger
  ) throws {
    guard let data = c.heldOutData else { return nil }
    self.model = model
    self.pool = pool
    reader = try HeldOutReader(
      data.read(for: host, warns: c.data.heldOutPath != nil),
      totalTokens: c.data.heldOutPath == nil ? totalTokens : nil,
      ledger: ledger)
    try Self.check(reader, c)
    evaluator = try Evaluator(
      model.weightsToEvaluate(ledger: ledger), isMarked: c.data.targets == .marked, threads: pool.threads,
      ledger: ledger)
  }

  /// Looks, rather now than at the first evaluation, for what that would fail on.
  package static func check(_ reader: HeldOutReader, _ c: RunPlan) throws(StreamError) {
    guard reader.beginsAtOnce else { return }
    try reader.check(limit: c.run.evalTokens ?? 0 > 0 ? min(c.evaluatedTokens, .max - 1) + 1 : 0)
  }

  /// - Parameters:
  ///   - limit: predictions at most; 0: all.
  ///   - observe: told again and again how many were made.
  ///   - stop: true gives it up.
  /// - Returns: nil if it was given up, or there is nothing to predict.
  package func evaluate(
    limit: Int, observe: (Int) -> Void, stop: @escaping @Sendable () -> Bool
  ) throws -> Evaluation? {
    model.prepareEvaluation()
    reader.isInterrupted = stop
    do throws(StreamError) {
      let found = try evaluator.evaluate([reader], limit: limit, on: pool, observe: observe, stop: stop)
      return found.map { $0.isPartial || stop() } ?? true ? nil : found
    } catch {
      if error.kind == .interrupted { return nil }
      throw error
    }
  }
}
