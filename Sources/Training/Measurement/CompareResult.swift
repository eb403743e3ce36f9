/// One method at one context, in tokens.
package struct CompareCell: Hashable, Sendable {
  package let method: CompareMethod
  package let context: Int

  package init(method: CompareMethod, context: Int) {
    (self.method, self.context) = (method, context)
  }
}

/// What came of a cell of a comparison. What was not measured is nil.
package struct CompareResult {
  package let cell: CompareCell
  /// For a shell: the run that this was, to its last second.
  package var command: String
  /// What the run holds by category, as the ledger charged it, or plans to.
  package var memory: [String: JSONValue] = [:]
  package var ran = false
  package var peakResident: Int?
  /// What was resident before anything was reserved: the program and its libraries.
  package var programBytes: Int?
  package var steps: Int?
  package var seconds: Double?
  /// Stream tokens that were read in those steps.
  package var tokens: Int?
  /// Held-out nats per token.
  package var lossEqualSteps: Double?
  /// Held-out nats per token.
  package var lossEqualSeconds: Double?
  /// Held-out nats per token.
  package var lossEqualTokenColumns: Double?
  /// The cosine of the mean gradient over one context, at fixed weights, with the exact gradient.
  package var cosine: Double?
  /// Why something is missing.
  package var note: String?
  package var history = MetricsHistory()

  package init(_ cell: CompareCell, command: String) {
    self.cell = cell
    self.command = command
  }

  package var activationBytes: Int? { memory["activations"]?.integer }
  /// The most that the ledger held, or would have to hold, at any one time.
  package var neededBytes: Int? { memory["peak_total"]?.integer }
  /// The part of the peak that neither the ledger nor the program explains; below 0 where less was touched than reserved.
  package var unexplainedBytes: Int? {
    guard let peakResident, let programBytes, let neededBytes else { return nil }
    return peakResident - programBytes - neededBytes
  }
  package var secondsPerUpdate: Double? {
    guard let steps, let seconds, steps > 0 else { return nil }
    return seconds / Double(steps)
  }

  package var tokensPerUpdate: Double? {
    guard let steps, let tokens, steps > 0 else { return nil }
    return Double(tokens) / Double(steps)
  }

  /// One line.
  package var json: String {
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
