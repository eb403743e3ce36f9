import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooStream

/// A training loop whose windows are those of a replay log: no data and no forward pass, but the same directions, coefficients, rates
/// and updates.
package final class Replay {
  package let model: any TrainingState
  package let transfer: TransferBuffer
  /// Windows that the weights have behind them, now and at the start.
  package private(set) var step: Int
  package let firstStep: Int
  private let reader: ReplayReader
  private let plan: RunPlan
  private let descent: CDRGE

  package init(_ reader: ReplayReader, threads: Int, checkpoint: SafetensorsReader?) throws {
    self.reader = reader
    var c = reader.plan
    c.run.threads = threads
    c.run.memoryBudget = nil
    plan = c
    try MemoryPlan.requireMemory(
      for: MemoryPlan.tableWithoutData(for: c), "the run in \(reader.path)",
      advice: "follow it on the machine that made it, or look whether the file is damaged")
    let pool = try ThreadPool(threads: threads)
    let ledger = MemoryLedger()
    transfer = try TransferBuffer(ledger: ledger)
    model = try TrainingStates.make(c, pool: pool, ledger: ledger)
    guard let descent = model.estimator as? CDRGE else {
      throw RunFailure.badData(
        "\(reader.path) is of \(.estimator) \(c.estimator.family.name), which has no coefficients")
    }
    self.descent = descent
    if let checkpoint {
      let state = try Checkpoint.state(of: checkpoint)
      if let difference = c.firstDifference(from: state.plan, of: RunPlan.fixed.union(RunPlan.replayed)) {
        throw RunFailure.usage(
          "\(checkpoint.path) is of another run than \(reader.path): \(difference.setting) differs")
      }
      guard state.plan.run.identity == c.run.identity else {
        throw RunFailure.badData("\(checkpoint.path) is of another run than \(reader.path)")
      }
      step = state.progress.step
      model.updates = state.optimizerUpdates
      if step > 0 { model.estimator.restore(afterWindow: step - 1) }
      try model.restore(checkpoint, through: transfer)
    } else {
      step = 0
      try model.begin(
        c, from: c.model.initialWeights.map { try SafetensorsReader(path: $0) }, through: transfer)
    }
    firstStep = step
    model.start()
    guard step >= reader.firstStep else {
      throw RunFailure.usage(
        "\(reader.path) begins at step \(reader.firstStep); a checkpoint of step \(step) is too early")
    }
  }

  /// - Throws: `RunFailure` if the step lies before the start, or the log ends before it.
  package func follow(to last: Int, stop: () -> Bool = { false }) throws {
    guard last >= step else {
      throw RunFailure.usage(
        "step \(last) is before the checkpoint's \(step); start from an earlier one, or from the initial weights"
      )
    }
    while step < last {
      if stop() { throw RunStopped() }
      guard let record = try reader.next() else {
        throw RunFailure.badData("\(reader.path) ends at step \(step), before step \(last)")
      }
      if record.step <= step { continue }
      guard record.step == step + 1 else {
        throw RunFailure.badData("\(reader.path): step \(record.step) follows step \(step)")
      }
      try follow(record)
    }
  }

  private func follow(_ record: ReplayReader.Record) throws {
    let isUpdate = record.flags.contains(.updated)
    let coefficientBytes = isUpdate ? 4 * plan.estimator.pairs : 0
    let broken = RunFailure.badData(
      "\(reader.path): the record of step \(record.step) is not one of this run")
    guard record.rest.count >= coefficientBytes, record.rate.isFinite, record.rate >= 0 else { throw broken }
    descent.beginWindow(step)
    let tokens = record.rest[coefficientBytes...]
    guard record.flags.contains(.words) ? takeWords(tokens) : takeChunks(tokens) else { throw broken }
    if isUpdate {
      let coefficients = (0..<plan.estimator.pairs).map {
        Float(bitPattern: ReplayReader.integer(record.rest, 4 * $0, UInt32.self))
      }
      guard coefficients.allSatisfy(\.isFinite) else { throw broken }
      descent.recompute(coefficients)
      model.update(rate: record.rate)
    }
    if record.flags.contains(.contextBegins) { descent.beginContext() }
    step += 1
  }

  private func takeWords(_ bytes: ArraySlice<UInt8>) -> Bool {
    let seen = descent.population.seen.elements
    guard bytes.count == 2 * seen.count else { return false }
    bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(seen).copyMemory(from: $0) }
    return true
  }

  /// Marks what the pairs of each stream have read.
  private func takeChunks(_ slice: ArraySlice<UInt8>) -> Bool {
    let width = ReplayFormat.width(vocabulary: plan.data.vocabularySize)
    let bytes = Array(slice)
    var at = 0
    while at < bytes.count {
      guard at + 4 <= bytes.count else { return false }
      let count = Int(ReplayReader.integer(bytes, at, UInt32.self))
      at += 4
      guard count <= bytes.count, at + plan.streaming.streams * count * width <= bytes.count else {
        return false
      }
      for stream in 0..<plan.streaming.streams {
        for _ in 0..<count {
          let id =
            switch width {
            case 1: Int(bytes[at])
            case 2: Int(ReplayReader.integer(bytes, at, UInt16.self))
            default: Int(ReplayReader.integer(bytes, at, UInt32.self))
            }
          guard id < plan.data.vocabularySize else { return false }
          descent.population.markRead(id, byStream: stream)
          at += width
        }
      }
    }
    return true
  }
}
