import Foundation
import Testing

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
    #expect(lines.count > 10 && lines.allSatisfy { $0.count <= 75 }, "\(after.output)")
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
    try fail(64, ["run", "--nonsense", "-o", "x.html"])
    try fail(66, ["missing", "-o", "x.html"], "missing")
    try fail(66, ["empty", "-o", "x.html"], "metrics.jsonl")
    try fail(66, ["run/metrics.jsonl", "-o", "x.html"], "folder")
    try fail(66, ["run", "missing", "-o", "x.html"], "missing")
    try fail(74, ["run", "-o", "nowhere/x.html"], "nowhere")
    #expect(!folder.names.contains("x.html"))
  }
}
