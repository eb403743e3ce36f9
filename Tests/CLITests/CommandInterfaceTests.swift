import Foundation
import Testing

/// What people and programs type and read.
@Suite struct CommandInterfaceTests {
  private static let tokens = Sample.tokens(3000)

  private func runs(_ more: String...) -> Runs {
    var runs = Runs(isProcess: true)
    runs.common += more
    runs.folder.put("data", Self.tokens)
    return runs
  }

  private func run(
    _ runs: Runs, _ arguments: [String], environment: [String: String] = [:],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> RunResult {
    let outcome = try LongzooProcess.run(
      ["train", "--json", "--quiet", "--overwrite"] + arguments, in: runs.folder, environment: environment,
      sourceLocation: sourceLocation)
    try #require(outcome.exitCode == 0, "\(arguments): \(outcome.errors)", sourceLocation: sourceLocation)
    return try RunResult(outcome.output, sourceLocation: sourceLocation)
  }

  @Test func oneObjectWithAllKeys() throws {
    let runs = runs("--max-steps", "12", "--val-fraction", "0.1")
    let outcome = try LongzooProcess.run(runs.arguments(["data"], out: "run"), in: runs.folder)
    #expect(outcome.errors == "")
    #expect(outcome.output.split(separator: "\n").count == 1)
    let result = try RunResult(outcome.output)
    let promised: Set = [
      "command", "cell", "estimator", "steps", "tokens", "context", "window", "parameters", "train_loss_nats",
      "val_loss_nats",
      "val_bits_per_token", "memory", "peak_rss_bytes", "seconds", "token_columns",
      "token_columns_per_second", "gflops",
      "parameters_digest", "out_dir", "stopped_by",
    ]
    #expect(promised.isSubset(of: result.values.keys), "\(promised.subtracting(result.values.keys))")
    let memory = result.values["memory"] as? [String: Any] ?? [:]
    #expect(
      Set(memory.keys) == [
        "parameters", "activations", "perturbations", "optimizer", "stream", "checkpoint", "peak_total",
        "budget",
      ])
    #expect(memory["budget"] is NSNull)
    #expect(result["command"] == "train")
    #expect(result["estimator"] == "cd-rge" && result["cell"] == "lstm")
    #expect(result["steps"] == 12)
    #expect(result["tokens"] == 12 * 8)
    #expect(result["window"] == 8)
    #expect(result["context"] == 1_000_000)
    #expect(result["parameters"] == 64 * 32 + 32 + 32 * 8 + 64 * 8 + 64)
    #expect(result["token_columns"] == 12 * 8 * 32)
    #expect(result["out_dir"] == "run")
    #expect(result["stopped_by"] == "max-steps")
    let seconds: Double = try #require(result["seconds"])
    #expect(seconds > 0 && seconds < 30)
    let (nats, bits): (Double, Double) = (
      try #require(result["val_loss_nats"]), try #require(result["val_bits_per_token"])
    )
    #expect(abs(bits - nats / log(2)) < 1e-9)
    // What was not measured is null.
    let bare = try run(runs, runs.common + ["--val-fraction", "0", "--out-dir", "bare", "data"])
    for key in ["val_loss_nats", "val_bits_per_token"] { #expect(bare.values[key] is NSNull, "\(key)") }
  }

  @Test func endsOfRuns() throws {
    let runs = runs()
    #expect(try runs.train("--max-tokens", "100", "data")["stopped_by"] == "max-tokens")
    #expect(try runs.train("--max-seconds", "0.05", "data")["stopped_by"] == "max-seconds")
    #expect(try runs.train("-", input: .bytes(Array(Self.tokens[..<100])))["stopped_by"] == "end-of-data")
    let context = try runs.train("--context", "500", "--streams", "2", "data")
    #expect(context["stopped_by"] == "end-of-data")
    #expect(context["tokens"] == 1000)
    #expect(try runs.train("--context", "500", "--window", "context", "data").steps == 1)
    #expect(
      try runs.train("--context", "500", "--window", "context", "--max-steps", "3", "data")["tokens"] == 1500)
  }

  @Test func quietSaysNothing() throws {
    let runs = runs("--max-steps", "12", "--out-dir", "run")
    let quiet = try LongzooProcess.run(["train", "--quiet", "data"] + runs.common, in: runs.folder)
    #expect(quiet.exitCode == 0)
    #expect(quiet.errors == "" && quiet.output == "")
    let plain = try LongzooProcess.run(["train", "--overwrite", "data"] + runs.common, in: runs.folder)
    #expect(plain.exitCode == 0)
    #expect(plain.errors.contains("tok/s") && !plain.errors.contains("\r"))
    #expect(plain.output.contains("peak RSS") && plain.output.contains(runs.folder("run/model.safetensors")))
    let progress = plain.errors.split(separator: "\n").filter { $0.contains("tok/s") }
    #expect(Set(progress).count == progress.count, "\(plain.errors)")
    let programs = try LongzooProcess.run(
      ["train", "--json", "--overwrite", "data"] + runs.common, in: runs.folder)
    #expect(try RunResult(programs.output).steps == 12)
  }

  @Test func versionAndHelp() throws {
    let folder = TestFolder()
    let version = try LongzooProcess.run(["--version"], in: folder)
    #expect(version.exitCode == 0)
    #expect(version.output.wholeMatch(of: /\d+\.\d+\.\d+\n/) != nil)
    for arguments in [
      ["--help"], ["train", "--help"], ["eval", "--help"], ["help", "train"], ["bench", "--help"], [],
    ] {
      let help = try LongzooProcess.run(arguments, in: folder)
      #expect(help.exitCode == 0 && help.output.contains("longzoo"), "\(arguments)")
    }
    for arguments in [["sing"], ["--sing"], ["train", "--sing"], ["help", "sing"]] {
      try LongzooProcess.run(arguments, in: folder).expectFailure(64, mentions: ["sing"], "\(arguments)")
    }
    for arguments in [["trian"], ["help", "trian"]] {
      let mentions = ["trian", "did you mean train"]
      try LongzooProcess.run(arguments, in: folder).expectFailure(64, mentions: mentions, "\(arguments)")
    }
  }

  @Test func namesThatPeopleType() throws {
    let runs = runs("--out-dir", "run")
    let expected = try run(
      runs,
      runs.common + [
        "--max-steps", "20", "--context", "96", "--streams", "2", "--lr", "0.02", "--eps", "0.05", "data",
      ])
    for options in [
      [
        "--max_steps", "20", "--seq-len", "96", "--batch-size", "2", "--learning-rate", "0.02", "--zo-eps",
        "0.05",
      ],
      ["--max_steps=20", "--ctx_len=96", "--batch_size=2", "--learning_rate=0.02", "--zo_eps=0.05"],
    ] {
      #expect(try run(runs, runs.common + options + ["data"]).digest == expected.digest, "\(options)")
    }
    // Underscores of values and of paths stay.
    runs.folder.put("a_b-c", Self.tokens)
    let path = try run(runs, runs.common + ["--max-steps=20", "--out-dir=x_y", "a_b-c"])
    #expect(path["out_dir"] == "x_y")
    runs.folder.put("--my_file.txt", Self.tokens)
    #expect(try run(runs, runs.common + ["--max-steps=20", "--", "--my_file.txt"]).digest == path.digest)
  }

  @Test func countsTakeLetters() throws {
    let runs = runs("--out-dir", "run")
    let result = try run(runs, runs.common + ["--max-tokens", "1.6k", "--context", "2_000", "data"])
    #expect(result["tokens"] == 1600)
    #expect(result["context"] == 2000)
    #expect(
      try run(runs, runs.common + ["--max-steps", "1", "--context", "3M", "data"])["context"] == 3_000_000)
    let size = try run(runs, runs.common + ["--max-steps", "1", "--memory-budget", "1.5GiB", "data"])
    #expect(size.memory["budget"] == 3 << 29)
  }

  /// The command line, the environment, the file of --config, the default: the first that says something wins.
  @Test func precedence() throws {
    let runs = runs()
    let base = [
      "--hidden-size", "8", "--vocab-size", "64", "--val-fraction", "0", "--threads", "1", "--out-dir", "run",
      "data",
    ]
    let text = #"{"pairs": 18, "max_steps": 7, "lr": 0.015, "context": "5k", "streams": 1, "quiet": true}"#
    let config = ["--config", runs.folder.put("config.json", Array(text.utf8))]
    let environment = ["LONGZOO_PAIRS": "17", "LONGZOO_STREAMS": "2", "LONGZOO_MAX_STEPS": "9"]

    let fromFile = try run(runs, base + config)
    #expect(
      fromFile["pairs"] == 18 && fromFile["streams"] == 1 && fromFile.steps == 7
        && fromFile["context"] == 5000)
    let fromEnvironment = try run(runs, base + config, environment: environment)
    #expect(fromEnvironment["pairs"] == 17 && fromEnvironment["streams"] == 2 && fromEnvironment.steps == 9)
    #expect(fromEnvironment["context"] == 5000)
    let given = try run(runs, base + config + ["--pairs", "16", "--max-steps=3"], environment: environment)
    #expect(given["pairs"] == 16 && given["streams"] == 2 && given.steps == 3)
    // The file named by the environment, and what came with it is what the options would have given.
    let named = try run(runs, base, environment: ["LONGZOO_CONFIG": runs.folder("config.json")])
    #expect(named.digest == fromFile.digest)
    let typed = ["--pairs", "18", "--max-steps", "7", "--lr", "0.015", "--context", "5k", "--streams", "1"]
    #expect(try run(runs, base + typed).digest == fromFile.digest)
    #expect(try run(runs, base + typed + ["--lr", "0.01"]).digest != fromFile.digest)
  }

  @Test func theEnvironmentHasFlagsAndMistakes() throws {
    let runs = runs("--max-steps", "3", "--out-dir", "run", "data")
    func run(_ environment: [String: String]) throws -> LongzooProcess.Outcome {
      try LongzooProcess.run(
        ["train", "--overwrite"] + runs.common, in: runs.folder, environment: environment)
    }
    let json = try run(["LONGZOO_JSON": "1", "LONGZOO_QUIET": "true", "LONGZOO_PAIRS": ""])
    #expect(json.errors == "")
    #expect(try RunResult(json.output).steps == 3)
    #expect(try run(["LONGZOO_JSON": "0", "LONGZOO_QUIET": "no"]).output.contains("peak RSS"))
    for (environment, mentions) in [
      (["LONGZOO_SEED": "-3"], "seed"), (["LONGZOO_SINGING": "1"], "singing"),
      (["LONGZOO_JSON": "perhaps"], "LONGZOO_JSON"),
      (["LONGZOO_EPS": "x"], "eps"), (["LONGZOO_LIFETIME": "0"], "lifetime"),
    ] {
      let outcome = try run(environment)
      outcome.expectFailure(64, mentions: [mentions] + environment.keys, "\(environment)")
      #expect(outcome.errors.split(separator: "\n").count < 4, "\(outcome.errors)")
    }
  }

  @Test func metricsAreWhatTheyPromise() throws {
    let runs = runs("--max-steps", "30", "--log-interval", "3")
    try runs.train("data", out: "run")
    let lines = try runs.metrics("run")
    #expect(lines.compactMap { $0["step"] as? Int } == Array(stride(from: 3, through: 30, by: 3)))
    for line in lines {
      #expect(
        Set(line.keys) == [
          "step", "tokens", "train/loss", "val/loss", "lr", "tok_per_s", "rss_bytes", "wall_s",
          "meter/snr", "meter/snr_error", "meter/cosine", "meter/predicted_cosine", "meter/divergence",
          "meter/returned_pairs", "meter/lost_share", "meter/clipped_share", "meter/estimate_norm",
          "meter/update_norm",
        ])
      #expect(line["tokens"] as? Int == (line["step"] as! Int) * 8)
      #expect((line["train/loss"] as? Double).map { $0 > 0 && $0 < 10 } == true)
      #expect((line["lr"] as? Double).map { $0 > 0 } == true)
      #expect((line["rss_bytes"] as? Int).map { $0 > 1 << 20 } == true)
      #expect(line["val/loss"] is NSNull)
    }
    let walls = lines.compactMap { $0["wall_s"] as? Double }
    #expect(walls == walls.sorted() && walls.count == 10)
  }
}
