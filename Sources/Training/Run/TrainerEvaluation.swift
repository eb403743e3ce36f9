import Foundation
import LongzooMemory

/// What a run learns from its held-out tokens: which of its weights are the best, and what they are worth.
extension Trainer {
  /// Seconds that an evaluation may take where somebody wants to leave, and where nothing is lost by waiting.
  private static let quickly = 1.0
  private static let inTime = 10.0

  /// Measures the weights of this step; the best ones so far become the run's model.
  package func evaluate(within seconds: Double? = nil) throws {
    guard let evaluator else { return }
    let begin = host.clock.now
    let found = try measured(evaluator, limit: plan.evaluatedTokens, within: seconds)
    guard let found else { return }
    rhythm.note(seconds: progress.trainSeconds, duration: host.clock.now - begin)
    evaluation = found
    let point = HeldOutRecord.Point(step: progress.step, lossNats: found.lossNats, targets: found.targets)
    let isBest = add(point)
    tell(.evaluated(found))
    // A run that is resumed at its end has had this line.
    if origin == nil || progress.step > start.step { try metrics?.evaluation(found, progress) }
    if isBest, plan.keepsBestWeights {
      try saveModel()
      keeper.keepsModel = true
    }
  }

  private func add(_ point: HeldOutRecord.Point) -> Bool {
    guard progress.heldOut != nil else {
      progress.heldOut = HeldOutRecord(point)
      return true
    }
    return progress.heldOut!.add(point)
  }

  /// - Parameter seconds: after which it is given up; a signal that came before then plays no part. nil: a signal ends it.
  private func measured(_ evaluator: HeldOutEvaluator, limit: Int, within seconds: Double?) throws
    -> Evaluation?
  {
    let deadline = seconds.map { host.clock.now + $0 }
    tell(.beginsEvaluation)
    defer { tell(.endsEvaluation) }
    let total = [limit, evaluator.tokens.map { $0 - 1 } ?? 0].filter { $0 > 0 }.min()
    return try savingOnFailure {
      try evaluator.evaluate(
        limit: limit, observe: { tell(.evaluates(tokens: $0, of: total)) },
        stop: { [host = (stop: host.stop, clock: host.clock)] in
          deadline.map { host.clock.now > $0 } ?? (host.stop() != nil)
        })
    }
  }

  /// The figures of a run's end: those of the weights that it hands out, over all held-out tokens where that is quick.
  package func evaluateAtEnd(_ reason: StopReason) throws {
    guard let evaluator else { return }
    if reason == .signal {
      // A scheduler's patience is short; a person's, who has just pressed Ctrl-C, is not much longer.
      let isQuick = expectedSeconds(evaluated: evaluatedAtOnce) <= Self.quickly
      if evaluation == nil, isQuick, host.stop() == .soon, progress.step > 0 {
        try evaluate(within: Self.quickly)
      }
      try takeBestWeights()
      return
    }
    if evaluation == nil { try evaluate() }
    guard host.stop() == nil else { return }
    let isOther = try takeBestWeights()
    let isPart = evaluator.tokens.map { $0 - 1 > plan.evaluatedTokens } ?? true
    let wantsAll = plan.run.evalTokens == nil && isPart && isQuickOverAll
    guard isOther || wantsAll else { return }
    let limit = wantsAll ? 0 : plan.evaluatedTokens
    if let found = try measured(evaluator, limit: limit, within: nil) { evaluation = found }
  }

  /// Held-out tokens that one evaluation on the way reads.
  private var evaluatedAtOnce: Int {
    [plan.evaluatedTokens, evaluator?.tokens ?? 0].filter { $0 > 0 }.min()
      ?? ExecutionPlan.defaultEvaluatedTokens
  }

  private var isQuickOverAll: Bool {
    guard let tokens = evaluator?.tokens else { return false }
    return expectedSeconds(evaluated: tokens) <= Self.inTime
  }

  /// Takes the best weights back from the run's model, for its last figures.
  /// - Returns: whether they are others than those of the last step.
  @discardableResult
  private func takeBestWeights() throws -> Bool {
    guard plan.keepsBestWeights, let best = progress.heldOut?.best, best.step != progress.step else {
      return false
    }
    try model.takeFinalWeights(try SafetensorsReader(path: folder.modelPath), through: transfer)
    evaluation = nil
    return true
  }

  /// The best weights of the run that is resumed: its model, which may be a little newer than the checkpoint. Without it the
  /// search for the best begins anew.
  package func findBestWeights(of checkpoint: SafetensorsReader) throws {
    guard plan.keepsBestWeights, let record = progress.heldOut else { return }
    let path = RunFolder.model(beside: checkpoint.path)
    guard RegularFile.exists(path), let file = try? SafetensorsReader(path: path),
      let point = WeightsFile.heldOutPoint(of: file), point.lossNats <= record.best.lossNats,
      (try? file.requireSound(through: transfer)) != nil
    else {
      progress.heldOut = nil
      return
    }
    if point != record.best { progress.heldOut = HeldOutRecord(point) }
    if !RunFolder.isSame(path, folder.modelPath) { try AtomicFile.copy(path, to: folder.modelPath) }
    keeper.keepsModel = true
  }
}
