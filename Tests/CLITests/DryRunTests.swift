import Foundation
import Testing

/// What a run says that it would do is what it does.
@Suite struct DryRunTests {
  private func plan(_ runs: Runs, _ options: [String], input: LongzooProcess.Input = .nothing)
    throws
    -> [String: Any]
  {
    let outcome = try LongzooProcess.run(
      runs.arguments(options + ["--dry-run"], out: "none"), in: runs.folder, input: input)
    try #require(outcome.exitCode == 0, "\(options): \(outcome.errors)")
    #expect(!runs.folder.names.contains("none"))
    return try #require(try RunResult(outcome.output).values["plan"] as? [String: Any])
  }

  private func number(_ plan: [String: Any], _ key: String) -> Int { plan[key] as? Int ?? -1 }

  @Test(arguments: [
    ["--pairs", "16", "--max-steps", "5"], ["--pairs", "16", "--max-tokens", "800"],
    ["--estimator", "tbptt", "--max-steps", "4"],
    ["--pairs", "16", "--context", "80", "--max-steps", "3", "--window", "context"],
    ["--pairs", "16", "--regime", "inplace", "--max-steps", "3"],
    ["--pairs", "16", "--estimator", "hybrid", "--max-steps", "3"],
    ["--pairs", "16", "--estimator", "node", "--max-steps", "3"],
  ])
  func thePlanIsTheRun(options: [String]) throws {
    var runs = Runs()
    runs.common = [
      "--hidden-size", "8", "--vocab-size", "64", "--threads", "1", "--streams", "4",
      "--val-fraction", "0.25",
    ]
    for data in [
      runs.folder.put("plain", Sample.tokens(4000)),
      runs.folder.put("data.zst", Sample.zstd(Sample.tokens(4000))),
    ] {
      let plan = try plan(runs, options + [data])
      #expect(
        number(plan, "training_tokens") == 3000 && number(plan, "held_out_tokens") == 1000,
        "\(plan)")
      let run = try runs.train(arguments: options + [data], out: "run")
      #expect(
        number(plan, "updates") == run.steps && number(plan, "tokens") == run["tokens"], "\(plan)")
      #expect(number(plan, "tokens_per_update") * run.steps == run["tokens"])
      #expect(number(plan, "parameters") == run["parameters"])
      let passes = try #require(plan["passes"] as? Double)
      #expect(abs(passes - Double(number(plan, "tokens")) / 3000) < 1e-9)
      let stored = runs.folder.bytes(data == runs.folder("plain") ? "plain" : "data.zst").count
      #expect(abs(number(plan, "bytes_per_pass") - stored * 3 / 4) <= 1, "\(plan)")
      for (key, file) in [("model_bytes", "model"), ("checkpoint_bytes", "checkpoint")] {
        let bytes = runs.folder.bytes("run/\(file).safetensors").count
        // The rest is the header's text.
        #expect((0...8000).contains(bytes - number(plan, key)), "\(key): \(bytes) and \(plan)")
      }
    }
  }

  @Test func whatIsNotKnownIsNull() throws {
    let runs = Runs("--max-seconds", "5")
    let plan = try plan(runs, ["-"], input: .bytes(Sample.tokens(100)))
    for key in [
      "training_tokens", "held_out_tokens", "tokens", "updates", "passes", "bytes_per_pass",
    ] {
      #expect(plan[key] is NSNull, "\(key)")
    }
    runs.folder.put("held", Sample.tokens(500))
    let files = try self.plan(runs, ["--val", "held", "held"])
    #expect(number(files, "training_tokens") == 500 && number(files, "held_out_tokens") == 500)
  }

  @Test func peopleReadIt() throws {
    let runs = Runs("--max-steps", "1000")
    runs.folder.put("data", Sample.tokens(4000))
    let arguments = runs.arguments(["data", "--dry-run"], out: "none").filter { $0 != "--json" }
    let text = try LongzooProcess.run(arguments, in: runs.folder).output
    for part in [
      "total", "training tokens  4,000", "8,000 tokens in 1,000 updates, 2 passes", "checkpoint",
    ] {
      #expect(text.contains(part), "\(text)")
    }
  }

  /// What the run would be refused for before its first update, in the same words; what it is warned for, too.
  @Test func theDataIsLookedAt() throws {
    let runs = Runs("--max-steps", "1")
    let (tokens, folder) = (Sample.tokens(4000), runs.folder)
    let good = folder.put("good", tokens)
    var packed = Sample.zstd(tokens)
    packed[packed.count / 2] ^= 0xff
    let cases: [[String]] = [
      [folder.put("t.gz", [0x1F, 0x8B, 8, 0] + tokens)], [good, folder.put("empty", [])],
      ["--dtype", "u16", folder.put("odd", tokens.flatMap { [$0, 0] } + [1])],
      ["--streams", "4", folder.put("bad", Array(tokens[..<3000]) + [99] + Array(tokens[3001...]))],
      ["--val-fraction", "0.1", folder.put("last", tokens + [99])],
      ["--val", folder.put("held", tokens + [99]), good], ["--val", folder.put("one", [1]), good],
      [folder.put("few", [1])], ["--streams", "4", folder.put("broken.zst", packed)],
      ["--expect-tokens", "5", good], ["--skip-tokens", "4k", good], ["nowhere"],
    ]
    for arguments in cases {
      let outcomes = try [[], ["--dry-run"]].map { dry in
        try LongzooProcess.run(runs.arguments(arguments + dry, out: "none"), in: folder)
      }
      // An id in the middle of a stream is met later: only then a run may be planned.
      outcomes[1].expectFailure(outcomes[0].exitCode, "\(arguments)")
      #expect(outcomes[0].errors == outcomes[1].errors)
    }
    let wide = folder.put("wide", tokens.flatMap { [$0, 0] })
    let warned = try LongzooProcess.run(runs.arguments([wide, "--dry-run"], out: "none"), in: folder)
    #expect(warned.exitCode == 0 && warned.errors.contains("warning: \(wide)"), "\(warned.errors)")
    try runs.train("--max-steps", "5", good, out: "run")
    let other = folder.put("other", Sample.tokens(4000, seed: 5))
    for dry in [[], ["--dry-run"]] {
      let resumed = ["train", "--json", "--quiet", "--resume", "run", "--max-steps", "9", other]
      try LongzooProcess.run(resumed + dry, in: folder)
        .expectFailure(65, mentions: ["this is other data"], "\(dry)")
    }
  }

  /// More than the budget is refused as the run would be.
  @Test func overBudget() throws {
    let runs = Runs("--memory-budget", "1MiB")
    runs.folder.put("data", Sample.tokens(4000))
    let sentences = try [["data"], ["data", "--dry-run"]].map { arguments in
      try runs.fail(64, arguments, mentions: ["--memory-budget"])
    }
    #expect(sentences[0] == sentences[1])
    #expect(!runs.folder.names.contains("failed"))
  }
}
