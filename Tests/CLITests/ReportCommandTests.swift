import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// `longzoo report`, from outside.
@Suite struct ReportCommandTests {
  @Test func aFinishedRunBecomesAPage() throws {
    let runs = Runs()
    let data = runs.folder.put("data", Sample.tokens(4000))
    try runs.train("--max-steps", "60", "--log-interval", "5", "--context", "500", data, out: "first")
    let summary = try RunResult(runs.folder.text("first/summary.json"))
    #expect(summary.steps == 60)
    #expect((summary.memory["activations"] ?? 0) > 0)
    let outcome = try LongzooProcess.run(["report", "first", "-o", "page.html", "--json"], in: runs.folder)
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    let parsed = try ParsedPage(runs.folder.text("page.html"))
    parsed.expectSelfContained()
    let result = try RunResult(outcome.output)
    let run = try #require((result.values["runs"] as? [[String: Any]])?.first)
    #expect(run["state"] as? String == "finished")
    #expect(run["steps"] as? Int == 60)

    // The command line that the page gives makes the same weights.
    let again = try #require(run["train_command"] as? String)
    let words = again.split(separator: " ").dropFirst().map(String.init)
    let second = try LongzooProcess.run(
      words + ["--json", "--quiet", "--out-dir", "second"], in: runs.folder)
    #expect(try RunResult(second.output).digest == summary.digest, "\(again)")
  }

  /// Defaults depend on the estimator, the optimizer, the limits and the data.
  @Test(arguments: [
    ["--pairs", "4", "--rank", "3"], ["--estimator", "fd-rge", "--pairs", "4", "--streams", "1"],
    ["--estimator", "jvp", "--pairs", "4"], ["--estimator", "nres", "--pairs", "4", "--context", "40"],
    ["--estimator", "pes", "--pairs", "4"], ["--estimator", "node", "--pairs", "4", "--readout", "zo"],
    ["--estimator", "hybrid", "--pairs", "4", "--streams", "2"], ["--estimator", "bptt", "--context", "30"],
    ["--estimator", "bptt", "--context", "30", "--checkpointing", "5", "--optimizer", "muon"],
    ["--estimator", "tbptt", "--streams", "2", "--window", "8"],
    ["--estimator", "tbptt", "--optimizer", "adam", "--streams", "2"],
    ["--estimator", "tbptt", "--streams", "2", "--table-rate", "1", "--lr-schedule", "constant"],
    ["--pairs", "4", "--regime", "inplace"], ["--pairs", "4", "--optimizer", "sgd", "--step", "normalized"],
    ["--pairs", "4", "--readout", "zo", "--replay-log", "--save-interval", "5"],
    ["--dtype", "u16", "--vocab-size", "64", "--pairs", "4"], ["--pairs", "4", "--val", "held file"],
  ])
  func theCommandMakesTheSameRun(options: [String]) throws {
    let folder = TestFolder()
    let isWide = options.contains("u16")
    for name in ["-data", "held file"] {
      folder.put(name, Sample.tokens(2000).flatMap { isWide ? [$0, 0] : [$0] })
    }
    func train(_ words: String, _ out: String) throws -> RunResult {
      let outcome = try LongzooProcess.run(
        [], in: folder,
        shell: "exec '\(try LongzooProcess.binary.get())' \(words) --json --quiet --out-dir \(out);")
      try #require(outcome.exitCode == 0, "\(words): \(outcome.errors)")
      return try RunResult(outcome.output)
    }
    let given = ["train", "./-data", "--threads", "1", "--hidden-size", "8", "--max-steps", "12"] + options
    let first = try train(ShellText.command(given), "first")
    let report = try LongzooProcess.run(["report", "first", "--json"], in: folder)
    let run = try #require((try RunResult(report.output).values["runs"] as? [[String: Any]])?.first)
    let command = try #require(run["train_command"] as? String)
    #expect(
      try train(String(command.dropFirst("longzoo ".count)), "second").digest == first.digest, "\(command)")
    // Not a list of everything: what follows from the rest is not said.
    #expect(command.split(separator: " ").count < 35, "\(command)")
  }

  @Test func aRunThatGoesOnIsReported() throws {
    let runs = Runs()
    let process = try LongzooProcess(
      runs.arguments(["--log-interval", "1", "--context", "0", "-"], out: "live"), in: runs.folder,
      input: .stalled(Sample.tokens(2000)))
    for _ in 0..<500 where runs.folder.text("live/metrics.jsonl").split(separator: "\n").count < 20 {
      usleep(20_000)
    }
    let outcome = try LongzooProcess.run(["report", "live", "--json"], in: runs.folder)
    process.send(SIGTERM)
    #expect(process.wait().exitCode == 143)
    let run = try #require((try RunResult(outcome.output).values["runs"] as? [[String: Any]])?.first)
    #expect(run["state"] as? String == "running")
    #expect((run["steps"] as? Int ?? 0) >= 19)
    let after = try LongzooProcess.run(
      ["report", "live", "--plot"], in: runs.folder, environment: ["COLUMNS": "60"])
    #expect(after.exitCode == 0)
    let lines = after.output.split(separator: "\n")
    #expect(lines.count > 10 && lines.allSatisfy { $0.count <= 60 }, "\(after.output)")
    for (name, label) in [("time", "time of training"), ("tokens", "tokens read"), ("updates", "updates")] {
      let plot = try LongzooProcess.run(["report", "live", "--plot", "--x", name], in: runs.folder)
      #expect(
        plot.output.split(whereSeparator: \.isWhitespace).suffix(9).joined(separator: " ").hasSuffix(label),
        "\(plot.output)")
    }
    #expect(after.output.unicodeScalars.contains { (0x2801...0x28FF).contains($0.value) })
    #expect(!after.output.contains("\u{1B}"))
  }

  @Test func whatIsWrongIsSaid() throws {
    let folder = TestFolder()
    ReportSample.run(folder, "run", metrics: ReportSample.line(1))
    mkdir(folder("empty"), 0o755)
    func fail(_ code: Int32, _ arguments: [String], _ mentions: String...) throws {
      try LongzooProcess.run(["report"] + arguments, in: folder).expectFailure(
        code, mentions: mentions, "\(arguments)")
    }
    try fail(64, [])
    try fail(64, ["run"], "-o report.html")
    try fail(64, ["run", "--plot", "--json"], "--plot")
    try fail(64, ["run", "--json", "--x", "time"], "--x", "--plot")
    try fail(64, ["run", "--plot", "--x", "seconds"], "--x", "time")
    try fail(64, ["run", "--nonsense", "-o", "x.html"])
    try fail(66, ["missing", "-o", "x.html"], "missing")
    try fail(66, ["empty", "-o", "x.html"], "metrics.jsonl")
    try fail(66, ["run/metrics.jsonl", "-o", "x.html"], "folder")
    try fail(66, ["run", "missing", "-o", "x.html"], "missing")
    try fail(74, ["run", "-o", "nowhere/x.html"], "nowhere")
    #expect(!folder.names.contains("x.html"))
  }
}
