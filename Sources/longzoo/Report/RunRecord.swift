import Foundation
import LongzooMemory
import LongzooTraining

/// What a run folder says of its run, be it finished, under way or broken off.
struct RunRecord {
  enum State: Equatable {
    /// With the reason: `max-steps`, `signal`, …
    case finished(String)
    case running
    case unfinished

    var text: String {
      switch self {
      case .finished("signal"): return "stopped by a signal"
      case .finished(let reason): return "finished (\(reason))"
      case .running: return "running"
      case .unfinished: return "not finished"
      }
    }
  }

  /// As it was given.
  let path: String
  /// Short, and different from those of the other runs.
  var name: String
  let configuration: [String: JSONValue]
  /// The JSON object of the run's end.
  let summary: [String: JSONValue]?
  let history: MetricsHistory
  let state: State

  /// - Throws: exit code 66 if there is no run at `path`, 74 if it cannot be read.
  init(path: String) throws(RunFailure) {
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw .missingInput("cannot open \(path): \(RunFailure.reason(errno))")
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw .missingInput("\(path) is a file; name the folder of a run, such as runs/20260101-120000")
    }
    let folder = RunPaths(folder: path)
    guard access(folder.metrics, F_OK) == 0 || access(folder.configuration, F_OK) == 0 else {
      throw .missingInput("\(path) is no run: it has neither metrics.jsonl nor config.json")
    }
    self.path = path
    name = Self.lastPart(of: path)
    configuration = JSONValue.object(in: try RegularFile.contents(folder.configuration)) ?? [:]
    summary = JSONValue.object(in: try RegularFile.contents(folder.summary))
    history = try MetricsHistory(path: folder.metrics)
    if RunLock.isHeld(folder.lock) {
      state = .running
    } else if let summary {
      state = .finished(summary["stopped_by"]?.text ?? "")
    } else {
      state = .unfinished
    }
  }

  /// Reads all runs; names that are the same become the paths.
  static func read(_ paths: [String]) throws(RunFailure) -> [RunRecord] {
    var runs: [RunRecord] = []
    for path in paths { runs.append(try RunRecord(path: path)) }
    let counts = Dictionary(runs.map { ($0.name, 1) }, uniquingKeysWith: +)
    for index in runs.indices where counts[runs[index].name]! > 1 { runs[index].name = runs[index].path }
    return runs
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
  var heldOut: [(record: MetricsRecord, bits: Double)] {
    records.compactMap { record in record.valLoss.map { (record, $0 / log(2)) } }
  }
  var training: [(record: MetricsRecord, bits: Double)] {
    records.compactMap { record in record.trainLoss.map { (record, $0 / log(2)) } }
  }

  var bestHeldOut: Double? { heldOut.map(\.bits).min() }
  var lastHeldOut: Double? { heldOut.last?.bits }
  var lastTraining: Double? { training.last?.bits }
  var steps: Int? { summary?["steps"]?.integer ?? records.last?.step }
  var tokens: Int? { summary?["tokens"]?.integer ?? records.last?.tokens }
  var seconds: Double? { summary?["seconds"]?.double ?? records.last?.wallSeconds }
  var peakResident: Int? {
    ([summary?["peak_rss_bytes"]?.integer] + records.map(\.residentBytes)).compactMap { $0 }.max()
  }
  /// Peaks of the ledger, by category.
  var memory: [String: JSONValue]? { summary?["memory"]?.object }
  var seed: String? { configuration["seed"].map(RunOptionText.value) }
}
