import Foundation
import Testing

/// Options that cannot be, or not together, are refused with exit code 64 and one clear sentence that names them.
@Suite struct TrainOptionErrorTests {
  private static let tokens = Sample.tokens(3000)

  @Test(arguments: [
    ["--no-such-option"], ["--pairs", "0"], ["--pairs", "-3"], ["--pairs", "many"], ["--hidden-size", "0"],
    ["--hidden-size", "1.5"], ["--layers", "0"], ["--layers", "1000"], ["--streams", "0"],
    ["--streams", "17"],
    ["--context", "-1"], ["--context", "ten"], ["--context", "1.5"], ["--context", "99999999999999999999"],
    ["--context", "1KiB"], ["--window", "0"], ["--window", "half"],
    ["--window", "context", "--context", "0"],
    ["--eps", "0"], ["--eps", "-1"], ["--eps", "nan"], ["--eps", "inf"], ["--lr", "-1"], ["--lr", "nan"],
    ["--momentum", "1"], ["--beta2", "1.5"], ["--weight-decay", "-1"], ["--table-rate", "-1"],
    ["--lifetime", "0"], ["--seed", "-1"],
    ["--threads", "0"], ["--threads", "5000"], ["--max-steps", "0"], ["--max-steps", "-5"], ["--lr", "0x10"],
    ["--eps", "1e"],
    ["--max-tokens", "0"],
    ["--max-seconds", "0"], ["--max-seconds", "nan"], ["--max-seconds", "10x"], ["--max-seconds", "-1m"],
    ["--val-fraction", "1"], ["--val-fraction", "-0.1"],
    ["--val-fraction", "0.1", "--val", "data"], ["--dtype", "u64"], ["--compression", "gzip"],
    ["--vocab-size", "0"],
    ["--cell", "bee"], ["--estimator", "luck"], ["--perturbation", "none"], ["--readout", "none"],
    ["--optimizer", "lion"], ["--lr-schedule", "square"], ["--reset", "daily"], ["--memory-budget", "512M"],
    ["--memory-budget", "-1"], ["--memory-budget"], ["--zstd-window-log", "9"], ["--zstd-window-log", "32"],
    ["--skip-tokens", "-1"], ["--expect-tokens", "x"], ["--eval-interval", "-1"], ["--save-interval", "x"],
    ["--max-steps"], ["--quiet=yes"],
  ])
  func wrongOptions(options: [String]) throws {
    let runs = Runs()
    runs.folder.put("data", Self.tokens)
    // The data first: a last option without a value must not swallow it.
    let outcome = try LongzooProcess.run(
      ["train", "data"] + runs.common.filter { !($0 == "--val-fraction" || $0 == "0") } + [
        "--out-dir", "new",
      ] + options,
      in: runs.folder)
    outcome.expectFailure(64, mentions: [String(options[0].split(separator: "=")[0])], "\(options)")
    #expect(!runs.folder.names.contains("new"), "\(options)")
  }

  @Test func optionsThatDoNotGoTogether() throws {
    let runs = Runs()
    runs.folder.put("data", Self.tokens)
    let pipe = LongzooProcess.Input.bytes(Self.tokens)
    try runs.fail(64, ["--streams", "2", "-"], input: pipe, mentions: ["--streams"])
    try runs.fail(64, ["--val-fraction", "0.1", "-"], input: pipe, mentions: ["--val-fraction"])
    try runs.fail(64, ["-", "data"], input: pipe, mentions: ["-"])
    try runs.fail(64, ["--val", "-", "data"], input: pipe, mentions: ["held-out"])
    try runs.fail(64, ["--streams", "2", "/dev/stdin"], input: pipe, mentions: ["--streams"])
    let outcome = try LongzooProcess.run(["train", "--dtype", "u16", "data"], in: runs.folder)
    outcome.expectFailure(64, mentions: ["--vocab-size"], "u16")
    #expect(runs.checkpoint("failed").isEmpty)
  }

  @Test func configurationFiles() throws {
    let runs = Runs()
    runs.folder.put("data", Self.tokens)
    try runs.fail(66, ["--config", "missing.json", "data"], mentions: ["missing.json"])
    for (name, text) in [
      ("garbage", "pairs = 3"), ("list", "[1]"), ("nested", #"{"pairs":{"x":1}}"#), ("void", ""),
    ] {
      runs.folder.put(name, Array(text.utf8))
      try runs.fail(65, ["--config", name, "data"], mentions: [name])
    }
    runs.folder.put("unknown", Array(#"{"no-such":1}"#.utf8))
    try runs.fail(64, ["--config", "unknown", "data"], mentions: ["no-such"])
    runs.folder.put("nonsense", Array(#"{"pairs":"x", "json": true}"#.utf8))
    let arguments = ["train", "--config", "nonsense", "data"]
    let outcome = try LongzooProcess.run(arguments, in: runs.folder)
    outcome.expectFailure(64, mentions: ["\"pairs\" in nonsense"], "nonsense")
    #expect(outcome.errors.split(separator: "\n").count == 1)
    // A pipe is a file, too.
    let piped = try LongzooProcess.run(
      ["train", "--config", "/dev/stdin", "--dry-run", "data"], in: runs.folder,
      input: .bytes(Array(#"{"pairs": 0}"#.utf8)))
    piped.expectFailure(64, mentions: ["--pairs 0", "/dev/stdin"], "a pipe")
  }

  @Test func largeNumbersAreNoCrash() throws {
    let runs = Runs()
    runs.folder.put("data", Array(Self.tokens[..<200]))
    let huge = "\(Int.max)"
    for options in [
      ["--max-tokens", "100", "--max-steps", huge], ["--context", huge, "--max-steps", "4"],
      ["--window", huge, "--context", "40", "--max-steps", "2"], ["--max-tokens", huge, "--max-steps", "4"],
      ["--eval-tokens", huge, "--val-fraction", "0.1", "--max-steps", "4"],
      ["--warmup", huge, "--max-steps", "4"],
      ["--log-interval", huge, "--save-interval", huge, "--eval-interval", huge, "--max-steps", "4"],
      ["--memory-budget", huge, "--max-steps", "4"], ["--seed", "\(UInt64.max)", "--max-steps", "4"],
      ["--streams", "16", "--context", huge, "--max-steps", "4"],
    ] {
      let arguments = runs.arguments(options + ["data"], out: "run").filter { $0 != "--quiet" }
      let outcome = try LongzooProcess.run(arguments, in: runs.folder)
      #expect(outcome.exitCode == 0, "\(options): \(outcome.errors)")
    }
    for options in [["--skip-tokens", huge], ["--expect-tokens", huge], ["--lifetime", huge]] {
      let outcome = try LongzooProcess.run(runs.arguments(options + ["data"], out: "run"), in: runs.folder)
      #expect([64, 65].contains(outcome.exitCode), "\(options): \(outcome.exitCode) \(outcome.errors)")
    }
    // More than any machine has: refused, not killed.
    let outcome = try LongzooProcess.run(
      runs.arguments(["--hidden-size", "65536", "--pairs", "1M", "data"], out: "huge"), in: runs.folder)
    outcome.expectFailure(64, mentions: ["memory"], "terabytes")
  }

  @Test func memoryBudgets() throws {
    let runs = Runs("--max-steps", "5")
    runs.folder.put("data", Self.tokens)
    let need = try #require(try runs.train("data").memory["peak_total"])
    let errors = try runs.fail(
      64, ["--memory-budget", "\(need - 1)", "data"], out: "new", mentions: ["--memory-budget"])
    for name in [
      "parameters", "activations", "perturbations", "optimizer", "stream", "checkpoint", "total", "budget",
    ] {
      #expect(errors.contains("\n  \(name) "), "\(errors)")
    }
    #expect(!runs.folder.names.contains("new"))
    let fitting = try runs.train("--memory-budget", "\(need)", "data")
    #expect(fitting.memory["budget"] == need)
    #expect(fitting.memory["peak_total"] == need)
    // What a pipe holds is known only when it comes.
    let plain = try #require(try runs.train("-", input: .bytes(Self.tokens)).memory["peak_total"])
    let packed = try runs.train("-", input: .bytes(Sample.zstd(Self.tokens)))
    let more = try #require(packed.memory["peak_total"])
    #expect(more > plain)
    #expect(
      try runs.train("--memory-budget", "\(more)", "-", input: .bytes(Sample.zstd(Self.tokens))).digest
        == packed.digest)
    try runs.fail(
      64, ["--memory-budget", "\(more - 1)", "-"], input: .bytes(Sample.zstd(Self.tokens)),
      mentions: ["--memory-budget"])
  }
}
