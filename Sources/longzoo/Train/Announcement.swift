import Foundation
import LongzooMemory
import LongzooTraining

/// What a run says before it begins: what is read, what learns, how far credit reaches, how long it will go on, and where it
/// is kept.
struct Announcement {
  let lines: [String]

  init(_ trainer: Trainer) {
    let c = trainer.plan
    lines = [
      Self.data(c, training: trainer.feed.trainingTokens, heldOut: trainer.evaluator?.tokens),
      Self.model(c), Self.estimator(c),
      Self.plan(c, trainer.limits, training: trainer.feed.trainingTokens, from: trainer.progress)
        + ", in \(trainer.folder.path)",
    ]
  }

  static func data(_ c: RunPlan, training: Int?, heldOut: Int?) -> String {
    var parts = [
      c.data.paths == ["-"] ? "standard input" : c.data.isPipe ? c.data.paths[0] : files(c.data.paths)
    ]
    if let training {
      parts.append("\(ByteSize.grouped(training)) \(c.data.tokenType.rawValue) tokens to learn from")
    }
    if let heldOut { parts.append("\(ByteSize.grouped(heldOut)) held out") }
    return "data       " + parts.joined(separator: ", ")
  }

  private static func files(_ paths: [String]) -> String {
    var bytes = 0
    for path in paths {
      var status = stat()
      if stat(path, &status) == 0 { bytes += Int(status.st_size) }
    }
    let name = paths.count == 1 ? paths[0] : "\(paths.count) files"
    return "\(name) (\(ByteSize.formatted(bytes)))"
  }

  static func model(_ c: RunPlan) -> String {
    var parts = ["\(c.model.cell.name) of \(c.model.hiddenSize) units"]
    if c.model.layers > 1 || c.model.block != .plain { parts.append(c.model.layersText) }
    if c.model.embeddingSize > 0 { parts.append("embedding of \(c.model.embeddingSize)") }
    if c.model.heads > 1 { parts.append("\(c.model.heads) heads") }
    parts.append("vocabulary of \(ByteSize.grouped(c.data.vocabularySize))")
    parts.append("\(ByteSize.grouped(c.shape.parameterCount)) parameters")
    return "model      " + parts.joined(separator: ", ")
  }

  static func estimator(_ c: RunPlan) -> String {
    let pairs = c.estimator.family.hasPairs ? " with \(c.estimator.pairs) pairs" : ""
    let state =
      c.tokensToReset.map { "the state is carried over \(ByteSize.grouped($0))" }
      ?? "the state is never reset"
    return
      "estimator  \(c.estimator.family.name)\(pairs): credit reaches back \(credit(c)) tokens, \(state)"
  }

  /// Tokens back to which a loss is credited.
  private static func credit(_ c: RunPlan) -> String {
    let reach = ByteSize.grouped(c.creditReach)
    guard c.estimator.family.hasPairs, c.estimator.family.isExact else { return reach }
    return "\(ByteSize.grouped(c.longestWindow)) exactly and \(reach) by estimate"
  }

  static func plan(_ c: RunPlan, _ limits: RunLimits, training: Int?, from p: RunProgress) -> String {
    let update = RunLimits.product(c.longestWindow, c.streaming.streams)
    var parts = ["\(ByteSize.grouped(update)) tokens an update"]
    if let total = limits.totalTokens, total < .max {
      var text = "\(ProgressLine.scaled(Double(total))) tokens"
      if let training { text += ", \(passes(Double(total) / Double(max(1, training)))) over the data" }
      if let updates = limits.totalUpdates { text = "\(counted(max(1, updates), "update")) (\(text))" }
      parts.append(text)
    }
    if let seconds = c.limits.maxSeconds { parts.append("at most \(Text.duration(seconds))") }
    if parts.count == 1 { parts.append(c.data.isPipe ? "until the pipe ends" : "until it is stopped") }
    let head = p.step > 0 ? "on from update \(ByteSize.grouped(p.step)), " : ""
    return "run        " + head + parts.joined(separator: ", ")
  }

  private static func counted(_ count: Int, _ noun: String) -> String {
    "\(ByteSize.grouped(count)) \(noun)\(count == 1 ? "" : "s")"
  }

  private static func passes(_ value: Double) -> String {
    let text = value < 10 ? String(format: "%.2g", value) : ByteSize.grouped(Int(value.rounded()))
    return text == "1" ? "1 pass" : "\(text) passes"
  }

  /// For a run whose limit was reached before it began.
  static func nothingLeft(_ reason: StopReason, _ p: RunProgress) -> String {
    "nothing is left to train: at update \(ByteSize.grouped(p.step)) the run is at its end (\(reason.rawValue)); "
      + "a larger --max-steps, --max-tokens, --max-seconds or --epochs goes on"
  }

  /// For windows that take long, once the first of them has shown its pace.
  static func longUpdate(tokens: Int, seconds: Double) -> String {
    "an update reads \(ByteSize.grouped(tokens)) tokens and takes about \(Text.duration(seconds)) here; "
      + "a shorter --context or --window, or fewer --streams, make shorter ones"
  }
}
