import LongzooTraining

/// One method at one context, and what came of it. What was not measured is nil.
struct CompareCell: Hashable {
  var method: CompareMethod
  var context: Int
}

struct CompareResult {
  let cell: CompareCell
  /// For a shell: the run that this was, to its last second.
  var command: String
  /// What the run holds by category, as the ledger charged it, or plans to.
  var memory: [String: JSONValue] = [:]
  var ran = false
  var peakResident: Int?
  /// What was resident before anything was reserved: the program and its libraries.
  var programBytes: Int?
  var steps: Int?
  var seconds: Double?
  /// Stream tokens that were read in those steps.
  var tokens: Int?
  /// Held-out nats per token.
  var lossEqualSteps: Double?
  /// Held-out nats per token.
  var lossEqualSeconds: Double?
  /// Held-out nats per token.
  var lossEqualTokenColumns: Double?
  /// Of the mean gradient over one context, at fixed weights, with the exact gradient.
  var cosine: Double?
  /// Why something is missing.
  var note: String?
  var history = MetricsHistory()

  init(_ cell: CompareCell, command: String) {
    self.cell = cell
    self.command = command
  }

  var activationBytes: Int? { memory["activations"]?.integer }
  /// The most that the ledger held, or would have to hold, at any one time.
  var neededBytes: Int? { memory["peak_total"]?.integer }
  /// The part of the peak that neither the ledger nor the program explains; below 0 where less was touched than reserved.
  var unexplainedBytes: Int? {
    guard let peakResident, let programBytes, let neededBytes else { return nil }
    return peakResident - programBytes - neededBytes
  }
  var secondsPerUpdate: Double? {
    guard let steps, let seconds, steps > 0 else { return nil }
    return seconds / Double(steps)
  }

  var tokensPerUpdate: Double? {
    guard let steps, let tokens, steps > 0 else { return nil }
    return Double(tokens) / Double(steps)
  }

  var json: String {
    let fields: [(String, String)] = [
      ("method", JSONText.quoted(cell.method.rawValue)), ("context", "\(cell.context)"),
      ("activation_bytes", JSONText.number(activationBytes)),
      ("peak_rss_bytes", JSONText.number(peakResident)),
      ("program_bytes", JSONText.number(programBytes)),
      ("seconds_per_update", JSONText.number(secondsPerUpdate)),
      ("loss_equal_steps", JSONText.number(lossEqualSteps)),
      ("loss_equal_seconds", JSONText.number(lossEqualSeconds)),
      ("loss_equal_token_columns", JSONText.number(lossEqualTokenColumns)),
      ("cosine", JSONText.number(cosine)),
      ("needed_bytes", JSONText.number(neededBytes)), ("ran", "\(ran)"), ("steps", JSONText.number(steps)),
      ("tokens", JSONText.number(tokens)), ("seconds", JSONText.number(seconds)),
      ("note", note.map(JSONText.quoted) ?? "null"),
      ("command", JSONText.quoted(command)),
    ]
    return "{" + fields.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
  }
}
