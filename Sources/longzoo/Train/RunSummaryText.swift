import Foundation
import LongzooMemory
import LongzooTraining

/// What a run has to say at its end, for people.
extension RunSummary {
  /// For a shell, from any folder. A pipe has to be given again from its start.
  var resumeCommand: String {
    ShellText.command(
      ["longzoo", "train", "--resume", AbsolutePath.of(outDir)] + (plan.data.isPipe ? ["-"] : []))
  }

  /// What would serve this data better; nil too where the run is not over.
  private var advice: String? {
    guard stoppedBy != .signal, divergence == nil else { return nil }
    return Advice(
      plan: plan, updates: progress.step, activations: memory.peak[.activations],
      heldOutBits: evaluation?.bitsPerToken, rightAnswers: evaluation?.answers?.sequenceAccuracy
    ).sentence
  }

  private var heldOutLines: [String] {
    guard let heldOut else { return [] }
    var line =
      "held out         \(Text.bits(heldOut.lossNats)) bits/token over \(ByteSize.grouped(heldOut.targets)) tokens"
    if let e = evaluation {
      line +=
        " (tables fitted to these: unigram \(Text.number(e.unigramBits, 3)), bigram \(Text.number(e.bigramBits, 3)))"
    }
    guard let record = progress.heldOut, heldOut.step != progress.step else { return [line] }
    let which = plan.keepsBestWeights ? "kept             the best" : "                 those"
    return [
      line,
      "\(which) weights, of update \(ByteSize.grouped(heldOut.step)) of \(ByteSize.grouped(progress.step)) "
        + "(\(record.count) evaluations, the last \(Text.bits(record.last.lossNats)))",
    ]
  }

  var text: String {
    let c = plan
    var lines = [
      "stopped by \(stoppedBy.rawValue) after \(progress.step) updates, \(Text.number(progress.trainSeconds, 1)) s of training",
      "context          \(ByteSize.grouped(c.streaming.context)) tokens, \(c.streaming.streams) stream\(c.streaming.streams == 1 ? "" : "s")"
        + (!c.estimator.family.hasPairs ? "" : ", \(c.estimator.pairs) pairs")
        + (c.estimator.family == .standard ? "" : ", \(c.estimator.family.name)"),
      "tokens           \(ByteSize.grouped(tokens))",
      "parameters       \(ByteSize.grouped(c.shape.parameterCount))",
      "train            \(Text.bits(progress.smoothedLoss)) bits/token (mean of about \(c.run.lossWindows) windows)",
    ]
    if let nothingLearned { lines.append("learned          nothing: \(nothingLearned.text)") }
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

extension NothingLearned {
  fileprivate var text: String {
    switch self {
    case .notBegun: "no update had begun"
    case .tokensMissing(let read, let wanted):
      "of the \(ByteSize.grouped(wanted)) tokens of the first update only \(ByteSize.grouped(read)) had come"
    case .givenUp(let seconds):
      "the first update was given up after \(Text.duration(seconds)); a shorter --window makes shorter ones"
    }
  }
}
