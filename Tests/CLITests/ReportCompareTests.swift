import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// `longzoo compare`, from outside.
@Suite struct ReportCompareTests {
  private let folder = TestFolder()
  private let small = [
    "--hidden-size", "8", "--pairs", "16", "--threads", "1", "--seconds", "0.3", "--eval-tokens", "200",
  ]

  private func compare(_ arguments: [String], seconds: Double = 120) throws -> LongzooProcess.Outcome {
    let data = folder.put("data", Sample.tokens(6000))
    return try LongzooProcess.run(
      ["compare"] + small + arguments + [data], in: folder, environment: ["TMPDIR": folder.path],
      seconds: seconds)
  }

  @Test func memoryDoesNotDependOnTheContext() throws {
    let outcome = try compare(
      [
        "--methods", "cd-rge", "--contexts", "100,1k", "--json", "--quiet", "--steps", "5", "--theory",
        "--out",
        "page.html", "--token-columns", "2k", "--cosine-seconds", "2",
      ])
    try #require(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(outcome.errors.isEmpty)
    let results = try #require(try RunResult(outcome.output).values["results"] as? [[String: Any]])
    #expect(results.map { $0["context"] as? Int } == [100, 1000])
    let activations = results.compactMap { $0["activation_bytes"] as? Int }
    #expect(activations.count == 2 && activations[0] == activations[1] && activations[0] > 0)
    for result in results {
      #expect(result["ran"] as? Bool == true)
      #expect(result["method"] as? String == "cd-rge")
      // 16 pairs a window, 13 or 125 windows, for 5,576 parameters of which few act
      let cosine = result["cosine"] as? Double ?? -1
      #expect(cosine > 0.05 && cosine < 1, "\(cosine)")
      #expect((result["peak_rss_bytes"] as? Int ?? 0) >= (result["needed_bytes"] as? Int ?? .max) / 2)
      for key in [
        "seconds_per_update", "loss_equal_steps", "loss_equal_seconds", "loss_equal_token_columns",
      ] {
        #expect((result[key] as? Double ?? -1) > 0, "\(key)")
      }
      #expect((result["command"] as? String)?.hasPrefix("longzoo train ") == true)
      let explained = try (
        #require(result["needed_bytes"] as? Int), #require(result["program_bytes"] as? Int)
      )
      let peak = try #require(result["peak_rss_bytes"] as? Int)
      #expect(abs(peak - explained.0 - explained.1) < max(8 << 20, peak / 10), "\(result)")
    }
    try expectTheory(RunResult(outcome.output).values["estimate_check"])
    let parsed = try ParsedPage(folder.text("page.html"))
    parsed.expectSelfContained()
    #expect(parsed.text.contains("Memory against context"))
    #expect(!folder.names.contains { $0.hasPrefix("longzoo-compare") })
  }

  /// Means of 32 and more draws: five standard errors, and what the mean of a ratio differs from the ratio of means.
  private func expectTheory(_ check: Any?) throws {
    let rows = try #require(check as? [[String: Any]])
    #expect(
      rows.count == 12
        && Set(rows.compactMap { $0["directions"] as? String }) == [
          "rank1", "rank4", "rademacher", "gaussian",
        ])
    for row in rows {
      let value = { (key: String) in row[key] as? Double ?? .nan }
      let off = abs(value("cosine") - value("theory"))
      #expect(off < 5 * value("standard_error") + 0.5 / value("pairs"), "\(row)")
    }
  }

  /// Exact gradients hold their context; truncated and estimated ones do not.
  @Test func allMethodsSideBySide() throws {
    let outcome = try compare(
      [
        "--contexts", "200,2k", "--json", "--quiet", "--seconds", "0.1", "--steps", "2", "--budget", "16MiB",
        "--cosine-seconds", "5",
      ])
    try #require(outcome.exitCode == 0, "\(outcome.errors)")
    let results = try #require(try RunResult(outcome.output).values["results"] as? [[String: Any]])
    func activations(_ method: String) -> [Int] {
      results.filter { $0["method"] as? String == method }.compactMap { $0["activation_bytes"] as? Int }
    }
    #expect(results.count == 12)
    // Theory is asked for, or left alone.
    #expect((try RunResult(outcome.output).values["estimate_check"] as? [Any])?.isEmpty == true)
    #expect(results.allSatisfy { $0["ran"] as? Bool == true && ($0["loss_equal_steps"] as? Double ?? 0) > 0 })
    for method in ["cd-rge", "tbptt", "hybrid"] {
      #expect(Set(activations(method)).count == 1, "\(activations(method))")
    }
    let (full, root) = (activations("bptt"), activations("bptt-sqrt"))
    #expect(full.count == 2 && full[1] > full[0] && root.count == 2 && root[1] < full[1], "\(full) \(root)")
    // Exact is exact, in whatever pieces; 64 tokens of credit are almost all there is here.
    let least = ["cd-rge": 0, "tbptt": 0.98, "hybrid": 0.9]
    for result in results {
      let method = try #require(result["method"] as? String)
      #expect((result["cosine"] as? Double ?? -1) > least[method] ?? 0.999_999, "\(method)")
    }
    for result in results where result["method"] as? String == "bptt-binomial" {
      #expect((result["needed_bytes"] as? Int ?? .max) <= 16 << 20)
    }
  }

  @Test func theTableIsMarkdownAndTheDrawingStandsAlone() throws {
    let outcome = try compare([
      "--methods", "cd-rge", "--contexts", "100,300", "--out", "memory.svg", "--cosine-seconds", "0",
    ])
    try #require(outcome.exitCode == 0, "\(outcome.errors)")
    let lines = outcome.output.split(separator: "\n")
    #expect(
      lines.count == 4 && lines.allSatisfy { $0.hasPrefix("| ") && $0.hasSuffix(" |") }, "\(outcome.output)")
    #expect(Set(lines.map { $0.count(where: { $0 == "|" }) }).count == 1)
    let drawing = try ParsedPage(folder.text("memory.svg"))
    #expect(drawing.elements["svg"] == 1 && drawing.elements["script"] == nil)
  }

  /// The plan of a model so large is made in no time, and nothing is run.
  @Test func whatDoesNotFitIsToldAndNotRun() throws {
    let outcome = try compare(
      [
        "--methods", "cd-rge", "--contexts", "100", "--json", "--cosine-seconds", "0", "--hidden-size",
        "60000", "--layers", "8",
        "--pairs", "4096",
      ])
    try #require(outcome.exitCode == 0, "\(outcome.errors)")
    let result = try #require((try RunResult(outcome.output).values["results"] as? [[String: Any]])?.first)
    #expect(result["ran"] as? Bool == false)
    #expect((result["needed_bytes"] as? Int ?? 0) > 1 << 36)
    #expect((result["note"] as? String)?.contains("available") == true)
  }

  @Test func aSignalEndsTheChildToo() throws {
    let data = folder.put("data", Sample.tokens(6000))
    let process = try LongzooProcess(
      [
        "compare", "--methods", "cd-rge", "--contexts", "100", "--seconds", "50", "--hidden-size", "8",
        "--pairs", "16", data,
      ],
      in: folder, environment: ["TMPDIR": folder.path])
    func cells() -> [String] { folder.names.filter { $0.hasPrefix("longzoo-compare") } }
    for _ in 0..<500 where cells().isEmpty { usleep(10_000) }
    usleep(300_000)
    process.send(SIGINT)
    #expect(process.wait(seconds: 10).exitCode == 130)
    #expect(cells().isEmpty)
    #expect(try !isAnyChildLeft())
  }

  /// Nobody can tell it to end, or clear up behind it.
  @Test func aKilledComparisonLeavesNoChild() throws {
    let data = folder.put("data", Sample.tokens(6000))
    let process = try LongzooProcess(
      [
        "compare", "--methods", "cd-rge", "--contexts", "100", "--seconds", "50", "--hidden-size", "8",
        "--pairs", "16", data,
      ],
      in: folder, environment: ["TMPDIR": folder.path])
    for _ in 0..<1000 where try !isAnyChildLeft() { usleep(10_000) }
    try #require(try isAnyChildLeft())
    process.send(SIGKILL)
    #expect(process.wait(seconds: 10).exitCode == 137)
    for _ in 0..<1000 where try isAnyChildLeft() { usleep(10_000) }
    #expect(try !isAnyChildLeft())
  }

  private func isAnyChildLeft() throws -> Bool {
    try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { Int($0) != nil }.contains {
      process in
      let words = FileManager.default.contents(atPath: "/proc/\(process)/cmdline") ?? Data()
      return String(decoding: words, as: UTF8.self).contains(folder.path + "/longzoo-compare")
    }
  }

  @Test func whatIsWrongIsSaid() throws {
    func fail(_ code: Int32, _ arguments: [String], _ mentions: String...) throws {
      try compare(arguments).expectFailure(code, mentions: mentions, "\(arguments)")
    }
    try fail(64, ["--methods", "magic"], "magic", "tbptt")
    try fail(64, ["--methods", ""], "--methods")
    try fail(64, ["--contexts", "1x"], "1x")
    try fail(64, ["--contexts", "0"], "--contexts")
    try fail(64, ["--contexts", ""], "--contexts")
    try fail(64, ["--seconds", "0"], "--seconds")
    try fail(64, ["--steps", "0"], "--steps")
    try fail(64, ["--token-columns", "0"], "--token-columns")
    try fail(64, ["--cosine-seconds=-1"], "--cosine-seconds")
    try fail(64, ["--budget", "64M"], "MiB")
    try fail(64, ["--hidden-size", "0"], "--hidden-size")
    try fail(64, ["-"], "files")
    try fail(66, ["missing"], "missing")
  }
}
