import LongzooTraining

/// The same figures for programs.
enum RunReportJSON {
  static func text(_ runs: [RunRecord], page: String?) -> String {
    let objects = runs.map { run in
      let state =
        switch run.state {
        case .finished: "finished"
        case .running: "running"
        case .unfinished: "unfinished"
        }
      let fields: [(String, String)] = [
        ("run", JSONText.quoted(run.path)), ("state", JSONText.quoted(state)),
        ("stopped_by", quoted(run.summary?["stopped_by"]?.text)), ("steps", JSONText.number(run.steps)),
        ("tokens", JSONText.number(run.tokens)), ("train_bits_per_token", JSONText.number(run.lastTraining)),
        ("best_val_bits_per_token", JSONText.number(run.bestHeldOut)),
        ("val_bits_per_token", JSONText.number(run.lastHeldOut)),
        ("peak_rss_bytes", JSONText.number(run.peakResident)), ("seconds", JSONText.number(run.seconds)),
        ("seed", seed(run.configuration["seed"])), ("unreadable_lines", "\(run.history.unreadableLines)"),
        ("train_command", quoted(RunCommandText.command(run.configuration))),
      ]
      return "{" + fields.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
    }
    return "{\"command\":\"report\",\"page\":\(quoted(page)),\"runs\":[\(objects.joined(separator: ","))]}"
  }

  private static func seed(_ value: JSONValue?) -> String {
    switch value {
    case .integer(let number): "\(number)"
    case .unsigned(let number): "\(number)"
    default: "null"
    }
  }

  private static func quoted(_ text: String?) -> String { text.map(JSONText.quoted) ?? "null" }
}
