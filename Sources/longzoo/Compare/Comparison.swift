import ArgumentParser
import Foundation
import LongzooMemory
import LongzooModel
import LongzooTraining

/// Runs the cells of a comparison, one after the other, each as a process of its own.
final class Comparison {
  let settings: CompareSettings
  /// Beside what the ledger charges: the program itself and its libraries.
  private static let programBytes = 64 << 20

  private let folder: String
  private let say: (String) -> Void
  private let start = MonotonicClock().now
  private var paths: [String] { settings.common.givenPaths }
  /// Methods that this program's train does not know, with what it says.
  private var refused: [CompareMethod: String] = [:]

  /// - Parameter folder: for files that nobody needs afterwards.
  init(_ settings: CompareSettings, folder: String, say: @escaping (String) -> Void) {
    self.settings = settings
    self.folder = folder
    self.say = say
  }

  /// The results by method, then by context, in the order in which they were asked for.
  func run() throws -> [CompareResult] {
    try checkCommonOptions()
    // Short updates before long ones, and short contexts before long ones: the time that is left over goes to those that need it.
    let cells = settings.contexts.sorted().flatMap { context in
      (settings.methods.filter { !$0.updatesOnceAContext } + settings.methods.filter(\.updatesOnceAContext))
        .map { CompareCell(method: $0, context: context) }
    }
    var results: [CompareCell: CompareResult] = [:]
    for (index, cell) in cells.enumerated() {
      let isKnown = refused[cell.method] != nil
      let left = settings.limit - (MonotonicClock().now - start)
      let result = try measure(cell, seconds: max(left / Double(cells.count - index), 2))
      if refused[cell.method] == nil || !isKnown { say(CompareTable.line(result)) }
      results[cell] = result
    }
    if settings.cosineSeconds > 0 {
      let gradients = try GradientComparison(
        common: settings.common, seconds: settings.cosineSeconds, stop: { Signals.received != nil })
      for cell in cells where results[cell]!.ran {
        results[cell]!.cosine = try gradients.cosine(
          of: cell.method.plan(settings, context: cell.context), name: cell.method.rawValue)
        if let cosine = results[cell]!.cosine { say(CompareTable.cosineLine(cell, cosine)) }
      }
    }
    return settings.methods.flatMap { method in
      settings.contexts.map { results[CompareCell(method: method, context: $0)]! }
    }
  }

  /// CD-RGE against theory.
  func checkEstimate() throws -> [EstimateCheck.Row] {
    let check = try EstimateCheck(common: settings.common, stop: { Signals.received != nil })
    return try EstimateCheck.directions.flatMap { choice, rank in
      try EstimateCheck.pairs.map { try check.run(choice, rank: rank, pairs: $0) }
    }
  }

  /// What is wrong with the data or the model is wrong for all methods: it ends the comparison.
  private func checkCommonOptions() throws {
    var common = settings.common
    common.estimator.pairs = max(settings.pairs, settings.streams)
    let child = try ChildRun(
      ["train"] + common.givenOptions + ["--dry-run", "--json"] + common.givenPaths, in: folder)
    guard case .exited(let code) = child.ending, code != 0 else { return }
    StandardStreams.tellFailure(child.complaint)
    throw ExitCode(code)
  }

  private func options(_ cell: CompareCell) -> [String] {
    cell.method.plan(settings, context: cell.context).givenOptions
  }

  private func measure(_ cell: CompareCell, seconds: Double) throws -> CompareResult {
    let limit = ["--max-seconds", JSONText.number(settings.seconds)]
    var result = CompareResult(
      cell, command: ShellText.command(["longzoo", "train"] + options(cell) + limit + paths))
    if let reason = refused[cell.method] {
      result.note = reason
      return result
    }
    let plan = try ChildRun(["train"] + options(cell) + ["--dry-run", "--json"] + paths, in: folder)
    guard plan.isSuccess, let memory = plan.object else {
      result.note = refusal(of: cell.method, plan)
      return result
    }
    result.memory = memory
    if let needed = result.neededBytes, let available = MachineMemory.available,
      needed + Self.programBytes > available
    {
      result.note = "needs \(ByteSize.formatted(needed)), and \(ByteSize.formatted(available)) are available"
      return result
    }
    try train(cell, &result, deadline: MonotonicClock().now + seconds)
    return result
  }

  /// A method that is not there at one context will not be there at the next; one that does not fit may have fitted before.
  private func refusal(of method: CompareMethod, _ plan: ChildRun) -> String {
    let isUnknown = plan.errors.contains("--estimator") || plan.errors.contains("unknown option")
    let sentence = plan.complaint.components(separatedBy: ". ")[0]
    // What follows the semicolon is advice for somebody who can change the budget of this very run.
    let short = plan.complaint.components(separatedBy: "; ")[0]
    let reason = isUnknown ? "train does not know it: \(sentence)" : short
    if isUnknown { refused[method] = reason }
    return reason
  }

  /// A place on the way at which the held-out loss is wanted.
  private struct Stage {
    var limits: [String]
    /// Whether the seconds of a cell end it as well.
    var isTimed = true
    /// Tokens of a stream, to put the places in order.
    var tokens: Int
    var note: (inout CompareResult, [String: JSONValue]) -> Void
  }

  /// Far away: what a resumed run was to stop at before no longer counts.
  static let never = 1_000_000_000_000

  /// At most Int.max, for places that are only put in order.
  private static func product(_ steps: Int, _ window: Int) -> Int {
    let (tokens, overflow) = steps.multipliedReportingOverflow(by: window)
    return overflow ? .max : tokens
  }

  private func stages(_ cell: CompareCell) -> [Stage] {
    let (method, settings) = (cell.method, settings)
    let steps = Stage(
      limits: ["--max-steps", "\(settings.steps)", "--max-tokens", "\(Self.never)"],
      tokens: Self.product(settings.steps, method.window(settings, context: cell.context))
    ) { result, run in
      if run["steps"]?.integer == settings.steps { result.lossEqualSteps = run["val_loss_nats"]?.double }
    }
    let perStream = max(1, settings.tokenColumns / (method.columnsPerToken(settings) * settings.streams))
    let columns = Stage(
      limits: ["--max-steps", "\(Self.never)", "--max-tokens", "\(perStream * settings.streams)"],
      tokens: perStream
    ) { result, run in
      // An update as long as that would be compared at another place.
      guard run["stopped_by"]?.text == "max-tokens",
        method.window(settings, context: cell.context) <= 2 * perStream
      else { return }
      result.lossEqualTokenColumns = run["val_loss_nats"]?.double
    }
    // A time limit would give up an update that takes longer: what one costs is known once there is one.
    let one = Stage(limits: ["--max-steps", "1", "--max-tokens", "\(Self.never)"], isTimed: false, tokens: 0)
    {
      _, _ in
    }
    return (method.updatesOnceAContext ? [one] : []) + [steps, columns].sorted { $0.tokens < $1.tokens }
  }

  /// From place to place, then to the last of the seconds.
  private func train(_ cell: CompareCell, _ result: inout CompareResult, deadline: Double) throws {
    let run = folder + "/run"
    defer { try? FileManager.default.removeItem(atPath: run) }
    let quiet = ["--json", "--quiet"]
    let seconds = ["--max-seconds", JSONText.number(settings.seconds)]
    let first =
      ["train"] + options(cell) + quiet
      + ["--out-dir", run, "--save-interval", "0", "--log-interval", "\(logInterval(cell))"] + paths
    var last: [String: JSONValue] = [:]
    let end = Stage(limits: ["--max-steps", "\(Self.never)", "--max-tokens", "\(Self.never)"], tokens: .max) {
      _, _ in
    }
    for (index, stage) in (stages(cell) + [end]).enumerated() {
      if index > 0, (result.seconds ?? 0) >= settings.seconds * 0.95 { break }
      let start = index == 0 ? first : ["train", "--resume", run] + quiet
      guard
        let object = try take(
          start + (stage.isTimed ? seconds : []) + stage.limits, &result, deadline: deadline)
      else { return }
      result.history = (try? MetricsHistory(path: run + "/metrics.jsonl")) ?? result.history
      stage.note(&result, object)
      last = object
    }
    if let taken = result.seconds, taken <= settings.seconds * 1.25 {
      result.lossEqualSeconds = last["val_loss_nats"]?.double
    } else if let each = result.secondsPerUpdate, let taken = result.seconds {
      result.note =
        "updates take \(Quantity.seconds.text(each)) each, and none ended near \(CompareTable.seconds(settings)): the last did at \(Quantity.seconds.text(taken))"
    }
  }

  /// Updates between points of a learning curve: often enough for a cell of seconds, too seldom to cost time.
  private func logInterval(_ cell: CompareCell) -> Int {
    cell.method.updatesOnceAContext ? max(20_000 / cell.context, 1) : 20
  }

  /// Runs one child and takes over what it measured; nil, with a note, if it did not come to its end.
  private func take(
    _ arguments: [String], _ result: inout CompareResult, deadline: Double
  ) throws -> [String: JSONValue]? {
    let allowed = max(deadline - MonotonicClock().now, 1)
    let child = try ChildRun(arguments, in: folder, seconds: allowed)
    result.ran = true
    result.peakResident = [result.peakResident, child.peakResident].compactMap { $0 }.max()
    if case .outOfTime = child.ending {
      result.note =
        "ended after \(Quantity.seconds.text(allowed.rounded())): its share of the time was used up"
      return nil
    }
    guard child.isSuccess, let object = child.object else {
      result.note = "failed: \(child.complaint)"
      return nil
    }
    if let memory = object["memory"]?.object { result.memory = memory }
    result.peakResident =
      [result.peakResident, object["peak_rss_bytes"]?.integer].compactMap { $0 }.max()
    result.steps = object["steps"]?.integer
    result.seconds = object["seconds"]?.double
    result.tokens = object["tokens"]?.integer
    result.programBytes = object["program_bytes"]?.integer
    return object
  }
}
