import Foundation
import LongzooMemory

/// What a run folder says of its run, be it finished, under way or broken off.
package struct RunRecord {
  package enum State: Equatable {
    /// With the reason: `max-steps`, `signal`, …
    case finished(String)
    case running
    case unfinished
  }

  /// As it was given.
  package let path: String
  /// Short, and different from those of the other runs.
  package var name: String
  package let configuration: [String: JSONValue]
  /// The JSON object of the run's end.
  package let summary: [String: JSONValue]?
  package let history: MetricsHistory
  package let state: State

  /// - Parameters:
  ///   - path: the folder of the run.
  ///   - stop: asked again and again; true ends the reading.
  /// - Throws: `RunFailure` if there is no run at `path`, or it cannot be read; `RunStopped`.
  package init(path: String, stop: () -> Bool = { false }) throws {
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw RunFailure.missingInput("cannot open \(path): \(RunFailure.reason(errno))")
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw RunFailure.missingInput(
        "\(path) is a file; name the folder of a run, such as runs/20260101-120000")
    }
    let folder = RunPaths(folder: path)
    guard access(folder.metrics, F_OK) == 0 || access(folder.configuration, F_OK) == 0 else {
      throw RunFailure.missingInput("\(path) is no run: it has neither metrics.jsonl nor config.json")
    }
    self.path = path
    name = Self.lastPart(of: path)
    configuration = JSONValue.object(in: try RegularFile.contents(folder.configuration)) ?? [:]
    summary = JSONValue.object(in: try RegularFile.contents(folder.summary))
    history = try MetricsHistory(path: folder.metrics, stop: stop)
    if RunLock.isHeld(folder.lock) {
      state = .running
    } else if let summary {
      state = .finished(summary["stopped_by"]?.text ?? "")
    } else {
      state = .unfinished
    }
  }

  /// Reads all runs; names that are the same become the paths.
  /// - Throws: as reading one of them does.
  package static func read(_ paths: [String], stop: () -> Bool = { false }) throws -> [RunRecord] {
    var runs: [RunRecord] = []
    for path in paths { runs.append(try RunRecord(path: path, stop: stop)) }
    let counts = Dictionary(runs.map { ($0.name, 1) }, uniquingKeysWith: +)
    for index in runs.indices where counts[runs[index].name]! > 1 { runs[index].name = runs[index].path }
    return runs
  }

  /// What cannot be read of the run's curve, a sentence each. The last line of a run that goes on may be half written.
  package var warnings: [String] {
    let (file, others) = (RunPaths(folder: path).metrics, history.unreadableLines - 1)
    let unreadable = history.firstUnreadableLine.map { line in
      others > 0
        ? "\(file): line \(line) and \(others) after it are no records, and are left out"
        : "\(file): line \(line) is no record, and is left out"
    }
    let torn = (state == .running ? nil : history.tornLine).map {
      "\(file): line \($0) is cut short, as where a disk was full, and is left out"
    }
    return [unreadable, torn].compactMap { $0 }
  }

  private static func lastPart(of path: String) -> String {
    let last = path.split(separator: "/").last.map(String.init) ?? path
    // "." and ".." say nothing: those have a name elsewhere.
    guard last == "." || last == "..", let real = realpath(path, nil) else { return last }
    defer { free(real) }
    return String(cString: real).split(separator: "/").last.map(String.init) ?? last
  }
}

extension RunRecord {
  private var records: [MetricsRecord] { history.records }

  /// Held-out losses in bits a token, with the records that they are from.
  package var heldOut: [(record: MetricsRecord, bits: Double)] {
    records.compactMap { record in record.valLoss.map { (record, $0 / log(2)) } }
  }
  /// Running means of the training loss in bits a token, with the records that they are from.
  package var training: [(record: MetricsRecord, bits: Double)] {
    records.compactMap { record in record.trainLoss.map { (record, $0 / log(2)) } }
  }

  package var bestHeldOut: Double? { heldOut.map(\.bits).min() }
  package var lastHeldOut: Double? { heldOut.last?.bits }
  package var lastTraining: Double? { training.last?.bits }
  package var steps: Int? { summary?["steps"]?.integer ?? records.last?.step }
  package var tokens: Int? { summary?["tokens"]?.integer ?? records.last?.tokens }
  package var seconds: Double? { summary?["seconds"]?.double ?? records.last?.wallSeconds }
  /// Bytes.
  package var peakResident: Int? {
    ([summary?["peak_rss_bytes"]?.integer] + records.map(\.residentBytes)).compactMap { $0 }.max()
  }
  /// Peaks of the ledger, by category.
  package var memory: [String: JSONValue]? { summary?["memory"]?.object }
}
