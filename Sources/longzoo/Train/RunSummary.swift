import Foundation
import LongzooMemory

/// What a run has to say at its end: a few lines for people, one JSON object for programs.
struct RunSummary {
  let configuration: RunConfiguration
  let progress: RunProgress
  let tokens: Int
  let stoppedBy: Trainer.StopReason
  /// How a run went wrong that did; the figures are then those of the weights that it was taken back to.
  let divergence: Divergence?
  /// Of the weights that the run hands out, measured at its end; nil where they were not.
  let evaluation: Evaluation?
  let memory: MemorySnapshot
  let peakResident: Int?
  let programBytes: Int?
  /// nil where no weights are saved.
  let digest: String?
  let outDir: String
  let meters: MeterReadings
  /// Before schedules.
  let learningRate: Double
  /// nil where nothing is moved by it.
  let epsilon: Double?
  let waitSeconds: Double
  /// Seconds of `seconds` spent in the population step; nil for estimators that have none.
  let stepSeconds: Double?
  /// Training seconds and token-columns of this process alone: what the rates are made of.
  let session: (seconds: Double, tokenColumns: Double)

  init(
    _ trainer: Trainer, stoppedBy: Trainer.StopReason, divergence: Divergence?, evaluation: Evaluation?,
    waitSeconds: Double,
    stepSeconds: Double?,
    session: (seconds: Double, tokenColumns: Double)
  ) throws {
    configuration = trainer.configuration
    progress = trainer.progress
    tokens = trainer.tokens
    self.stoppedBy = stoppedBy
    self.divergence = divergence
    self.evaluation = evaluation
    memory = trainer.ledger.snapshot()
    peakResident = ResidentSet.read()?.peak
    programBytes = trainer.programBytes
    digest =
      configuration.savesWeights && divergence.map { $0.good != nil } ?? true
      ? try SafetensorsWriter.digest(of: trainer.model.finalTensors, through: trainer.transfer) : nil
    outDir = trainer.folder.path
    learningRate = trainer.baseRate
    epsilon = configuration.estimator.takesDifferences ? trainer.epsilon : nil
    meters = trainer.progress.meters.readings(
      trainer.configuration.directions, updateNorm: trainer.lastUpdateNorm)
    self.waitSeconds = waitSeconds
    self.stepSeconds = stepSeconds
    self.session = session
  }

  /// Tokens times the columns that processed them.
  private var tokenColumns: Int { progress.tokensPerStream * configuration.columns }
  private var rate: Double? { session.seconds > 0 ? session.tokenColumns / session.seconds : nil }
  private var gflops: Double? { rate.map { $0 * configuration.flopsPerTokenColumn / 1e9 } }

  /// For a shell, from any folder. A pipe has to be given again from its start.
  var resumeCommand: String {
    ShellText.command(
      ["longzoo", "train", "--resume", AbsolutePath.of(outDir)] + (configuration.isPipe ? ["-"] : []))
  }

  var json: String {
    let c = configuration
    let window = if case .tokens(let count) = c.window { count } else { c.context }
    let fields: [(String, String)] = [
      ("command", "\"train\""), ("cell", "\"\((c.cell ?? .lstm).rawValue)\""),
      ("estimator", "\"\(c.estimator.rawValue)\""), ("steps", "\(progress.step)"),
      ("tokens", "\(tokens)"), ("targets", "\(progress.targets)"),
      ("context", "\(c.context)"), ("window", "\(window)"), ("streams", "\(c.streams)"),
      ("pairs", c.estimator.hasPairs ? "\(c.pairs)" : "null"),
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
      ("regime", "\"\(c.regime.rawValue)\""),
      ("out_dir", JSONText.quoted(outDir)), ("stopped_by", "\"\(stoppedBy.rawValue)\""),
      ("diverged_at_step", JSONText.number(divergence?.step)),
    ]
    return "{" + fields.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
  }

  /// What would serve this data better; nil too where the run is not over.
  private var advice: String? {
    guard stoppedBy != .signal, divergence == nil else { return nil }
    return Advice(
      configuration: configuration, updates: progress.step, activations: memory.peak[.activations],
      heldOutBits: evaluation?.bitsPerToken, rightAnswers: evaluation?.answers?.sequenceAccuracy
    ).sentence
  }

  /// The held-out loss of the weights that the run hands out: from its end, or else from when they were measured.
  private var heldOut: HeldOutRecord.Point? {
    let kept = configuration.keepsBestWeights ? progress.heldOut?.best : nil
    guard let e = evaluation else { return kept ?? progress.heldOut?.last }
    return HeldOutRecord.Point(step: kept?.step ?? progress.step, lossNats: e.lossNats, targets: e.targets)
  }

  private var heldOutLines: [String] {
    guard let heldOut else { return [] }
    var line =
      "held out         \(Text.bits(heldOut.lossNats)) bits/token over \(ByteSize.grouped(heldOut.targets)) tokens"
    if let e = evaluation {
      line += " (unigram \(Text.number(e.unigramBits, 3)), bigram \(Text.number(e.bigramBits, 3)))"
    }
    guard let record = progress.heldOut, heldOut.step != progress.step else { return [line] }
    let which = configuration.keepsBestWeights ? "kept             the best" : "                 those"
    return [
      line,
      "\(which) weights, of update \(ByteSize.grouped(heldOut.step)) of \(ByteSize.grouped(progress.step)) "
        + "(\(record.count) evaluations, the last \(Text.bits(record.last.lossNats)))",
    ]
  }

  var text: String {
    let c = configuration
    var lines = [
      "stopped by \(stoppedBy.rawValue) after \(progress.step) updates, \(Text.number(progress.trainSeconds, 1)) s of training",
      "context          \(ByteSize.grouped(c.context)) tokens, \(c.streams) stream\(c.streams == 1 ? "" : "s")"
        + (!c.estimator.hasPairs ? "" : ", \(c.pairs) pairs")
        + (c.estimator == .cdRGE ? "" : ", \(c.estimator.rawValue)"),
      "tokens           \(ByteSize.grouped(tokens))",
      "parameters       \(ByteSize.grouped(c.shape.parameterCount))",
      "train            \(Text.bits(progress.smoothedLoss)) bits/token (mean of about \(c.lossWindows ?? RunConfiguration.defaultLossWindows) windows)",
    ]
    if progress.step == 0 {
      lines.append(
        "learned          nothing: the first update had not ended yet; a shorter --window makes shorter ones")
    }
    lines += heldOutLines
    if let score = evaluation?.answers {
      lines.append(
        "answers          \(Text.number(100 * score.sequenceAccuracy, 1)) % of \(ByteSize.grouped(score.answers)) entirely right, "
          + "\(Text.number(100 * score.accuracy, 1)) % of their tokens")
    }
    if let rate, let gflops {
      lines.append(
        "speed            \(ProgressLine.scaled(rate)) token-columns/s, \(Text.number(gflops, 1)) GFLOP/s")
    }
    lines.append(
      "memory           \(ByteSize.formatted(memory.peakTotal)) in the ledger (activations \(ByteSize.formatted(memory.peak[.activations]))), "
        + "peak RSS \(peakResident.map(ByteSize.formatted) ?? "–")")
    lines.append(
      digest.map {
        let path = ShellText.quoted(AbsolutePath.of(outDir) + "/model.safetensors")
        return "weights          \(path) (digest \($0.prefix(16)))"
      }
        ?? "weights          not saved")
    if stoppedBy == .signal, digest != nil { lines.append("to go on         \(resumeCommand)") }
    if let advice { lines.append("to learn more    \(advice)") }
    return lines.joined(separator: "\n")
  }
}

/// The `memory` object of the JSON.
enum MemoryReport {
  static func json(_ table: MemoryTable, peakTotal: Int, budget: Int?) -> String {
    let parts = MemoryCategory.allCases.map { "\"\($0.rawValue)\":\(table[$0])" }
    return "{"
      + (parts + ["\"peak_total\":\(peakTotal)", "\"budget\":\(JSONText.number(budget))"]).joined(
        separator: ",") + "}"
  }
}
