import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// Updates that take long: signals and time limits are heard within them.
@Suite struct TrainLongWindowTests {
  /// Windows of minutes, by all estimators whose work lies elsewhere: columns, the way back, both.
  private static let kinds: [[String]] = [
    ["--pairs", "64", "--streams", "64", "--window", "context", "--context", "10M"],
    [
      "--estimator", "bptt", "--streams", "32", "--context", "40k", "--checkpointing", "sqrt",
      "--hidden-size", "64",
    ],
    [
      "--estimator", "hybrid", "--pairs", "32", "--streams", "32", "--window", "40k", "--context", "40k",
      "--checkpointing", "sqrt", "--hidden-size", "64",
    ],
  ]

  private static let common = ["--vocab-size", "64", "--val-fraction", "0", "--threads", "1"]

  private func start(_ runs: Runs, _ options: [String], quiet: Bool = true) throws -> LongzooProcess {
    let data = runs.folder.put("data", Sample.tokens(50_000))
    return try LongzooProcess(
      ["train"] + Self.common + (quiet ? ["--json", "--quiet"] : []) + options + ["--out-dir", "run", data],
      in: runs.folder)
  }

  @Test(arguments: kinds)
  func signalsAreHeard(options: [String]) throws {
    let runs = Runs()
    let child = try start(runs, options, quiet: false)
    try runs.waitForCheckpoint("run")
    usleep(1_500_000)
    let begin = Date()
    child.send(SIGTERM)
    let outcome = child.wait(seconds: 30)
    #expect(outcome.exitCode == 143, "\(outcome.errors)")
    // Two seconds are promised; a machine that is busy with other tests gets more.
    #expect(Date().timeIntervalSince(begin) < 15)
    #expect(outcome.errors.contains("once more: at once"))
    if options.contains("10M") {
      #expect(outcome.errors.contains(/giving up this update, which would take about [1-9][0-9]* s more/))
    }
    #expect(outcome.output.contains("nothing: the first update was given up after"))
    #expect(outcome.output.contains("longzoo train --resume"))
    #expect(!runs.checkpoint("run").isEmpty)
  }

  @Test(arguments: kinds)
  func timeLimitsAreHeard(options: [String]) throws {
    let runs = Runs()
    let begin = Date()
    let outcome = try start(runs, options + ["--max-seconds", "1"]).wait(seconds: 40)
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(Date().timeIntervalSince(begin) < 30)
    let result = try RunResult(outcome.output)
    #expect(result["stopped_by"] == "max-seconds" && result.steps == 0)
    #expect(result.digest == (try start0(runs, options)))
  }

  /// The weights of the start, which no update has changed.
  private func start0(_ runs: Runs, _ options: [String]) throws -> String {
    let short = options.map { $0 == "10M" || $0 == "40k" ? "16" : $0 }
    let outcome = try LongzooProcess.run(
      ["train"] + Self.common + ["--json", "--quiet", "--lr", "0", "--max-steps", "1", "--out-dir", "zero"]
        + short
        + [runs.folder("data")], in: runs.folder)
    return try RunResult(outcome.output).digest
  }

  @Test func windowsAreWatched() {
    var watch = WindowWatch()
    watch.begin(tokens: 100)
    watch.look(isStopped: false, seconds: 5, limit: nil)
    #expect(!watch.isGivenUp && watch.tokens == 100)
    for seconds in [5, 5.9] { watch.look(isStopped: true, seconds: seconds, limit: nil) }
    #expect(!watch.isGivenUp)
    watch.look(isStopped: true, seconds: 6.1, limit: nil)
    #expect(watch.isGivenUp)
    watch.look(isStopped: false, seconds: 7, limit: nil)
    watch.begin(tokens: 100)
    for (seconds, limit, isOver) in [
      (10.9, 10.0, false), (11.1, 10, true), (105, 100, false), (111, 100, true),
    ] {
      watch.begin(tokens: 100)
      watch.look(isStopped: false, seconds: seconds, limit: limit)
      #expect(watch.isGivenUp == isOver, "\(seconds) of \(limit)")
    }
  }

  /// A signal while the end is measured: the weights are there, and the exit code says what happened.
  @Test func signalsInTheLastEvaluation() throws {
    let runs = Runs(
      "--hidden-size", "256", "--val-fraction", "0.9", "--eval-interval", "0", "--eval-tokens", "0")
    let data = runs.folder.put("data", Sample.tokens(4_000_000))
    let child = try LongzooProcess(
      ["train"] + runs.common + ["--max-steps", "2", "--out-dir", "run", data], in: runs.folder)
    try runs.waitForStep(2, "run")
    usleep(500_000)
    child.send(SIGINT)
    let outcome = child.wait(seconds: 30)
    #expect(outcome.exitCode == 130, "\(outcome.errors)")
    #expect(outcome.errors.contains("evaluation was given up"))
    #expect(outcome.output.contains("stopped by max-steps"))
    #expect(
      try runs.resume("run", "--max-steps", "2", "--val-fraction", "0.9", "--eval-tokens", "10").steps == 2)
  }

  /// A context that is shorter than what was read since the last reset begins anew, and so does the training.
  @Test func aShorterContextBeginsAnew() throws {
    let runs = Runs("--streams", "2", "--context", "100000")
    let data = runs.folder.put("data", Sample.tokens(5000))
    try runs.train("--max-steps", "20", data, out: "run")
    let resumed = try runs.resume("run", "--context", "100", "--max-steps", "60")
    #expect(resumed.steps == 60 && resumed["stopped_by"] == "max-steps")
  }

  @Test func aRunThatIsOverSaysSo() throws {
    let runs = Runs("--max-steps", "5")
    let data = runs.folder.put("data", Sample.tokens(500))
    try runs.train(data, out: "run")
    let outcome = try LongzooProcess.run(["train", "--resume", "run"], in: runs.folder)
    #expect(outcome.exitCode == 0 && outcome.errors.contains("nothing is left to train"))
  }

  /// The rate in the log is the one that the update was made with.
  @Test func theLoggedRateIsTheUpdates() throws {
    let runs = Runs("--lr", "0.02", "--lr-schedule", "linear", "--max-steps", "4", "--log-interval", "1")
    try runs.train(runs.folder.put("data", Sample.tokens(500)), out: "run")
    let rates = try runs.metrics("run").compactMap { $0["lr"] as? Double }
    #expect(rates.count == 4)
    for (rate, expected) in zip(rates, [0.02, 0.015, 0.01, 0.005]) { #expect(abs(rate - expected) < 1e-9) }
  }
}

extension Runs {
  /// - Throws: after half a minute.
  func waitForCheckpoint(_ out: String) throws {
    for _ in 0..<3000 {
      if access(folder(out + "/checkpoint.safetensors"), F_OK) == 0 { return }
      usleep(10_000)
    }
    Issue.record("no checkpoint after half a minute")
  }

  /// Waits for the checkpoint of a step.
  func waitForStep(_ step: Int, _ out: String) throws {
    for _ in 0..<3000 {
      if let file = try? SafetensorsReader(path: folder(out + "/checkpoint.safetensors")),
        let state = try? Checkpoint.state(of: file), state.progress.step == step
      {
        return
      }
      usleep(10_000)
    }
    Issue.record("no step \(step) after half a minute")
  }
}
