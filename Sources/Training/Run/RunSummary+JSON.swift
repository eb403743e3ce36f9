import Foundation
import LongzooMemory

extension RunSummary {
  /// One line: the object of `--json`, and of `summary.json`.
  package var json: String {
    let c = plan
    let window = if case .tokens(let count) = c.streaming.window { count } else { c.streaming.context }
    let fields: [(String, String)] = [
      ("command", "\"train\""), ("cell", "\"\(c.model.cell.name)\""),
      ("estimator", "\"\(c.estimator.family.name)\""), ("steps", "\(progress.step)"),
      ("tokens", "\(tokens)"), ("targets", "\(progress.targets)"),
      ("context", "\(c.streaming.context)"), ("window", "\(window)"), ("streams", "\(c.streaming.streams)"),
      ("pairs", c.estimator.family.hasPairs ? "\(c.estimator.pairs)" : "null"),
      ("parameters", "\(c.shape.parameterCount)"),
      ("train_loss_nats", JSONText.number(progress.smoothedLoss)),
      ("val_loss_nats", JSONText.number(heldOut?.lossNats)),
      ("val_bits_per_token", JSONText.number(heldOut.map { $0.lossNats / log(2) })),
      ("val_tokens", JSONText.number(evaluation?.tokens)),
      ("val_targets", JSONText.number(heldOut?.targets)), ("val_step", JSONText.number(heldOut?.step)),
      ("val_last_loss_nats", JSONText.number(progress.heldOut?.last.lossNats)),
      ("evaluations", "\(progress.heldOut?.count ?? 0)"),
      ("val_accuracy", JSONText.number(evaluation?.answers?.accuracy)),
      ("val_sequence_accuracy", JSONText.number(evaluation?.answers?.sequenceAccuracy)),
      ("val_answers", JSONText.number(evaluation?.answers?.answers)),
      ("unigram_bits", JSONText.number(evaluation?.unigramBits)),
      ("bigram_bits", JSONText.number(evaluation?.bigramBits)),
      ("memory", MemoryReport.json(memory.peak, peakTotal: memory.peakTotal, budget: memory.budget)),
      ("peak_rss_bytes", JSONText.number(peakResident)),
      ("program_bytes", JSONText.number(programBytes)), ("seconds", JSONText.number(progress.trainSeconds)),
      ("token_columns", "\(tokenColumns)"), ("token_columns_per_second", JSONText.number(rate)),
      ("gflops", JSONText.number(gflops)), ("stream_wait_seconds", JSONText.number(waitSeconds)),
      ("step_seconds", JSONText.number(stepSeconds)),
      ("refused_updates", "\(progress.refusedUpdates)"), ("meters", meters.json),
      ("learning_rate", JSONText.number(learningRate)), ("epsilon", JSONText.number(epsilon)),
      ("rate_searches", c.searched.isEmpty ? "null" : "\(progress.ratePlan.searches)"),
      ("parameters_digest", digest.map { "\"\($0)\"" } ?? "null"),
      ("regime", "\"\(c.run.regime.rawValue)\""),
      ("out_dir", JSONText.quoted(outDir)), ("stopped_by", "\"\(stoppedBy.rawValue)\""),
      ("diverged_at_step", JSONText.number(divergence?.step)),
    ]
    return "{" + fields.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
  }
}

/// The `memory` object of the JSON.
package enum MemoryReport {
  package static func json(_ table: MemoryTable, peakTotal: Int, budget: Int?) -> String {
    let parts = MemoryCategory.allCases.map { "\"\($0.rawValue)\":\(table[$0])" }
    return "{"
      + (parts + ["\"peak_total\":\(peakTotal)", "\"budget\":\(JSONText.number(budget))"]).joined(
        separator: ",") + "}"
  }
}
