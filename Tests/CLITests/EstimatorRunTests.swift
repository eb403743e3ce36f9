import Foundation
import Testing

/// Every estimator from pairs, through the program.
@Suite struct EstimatorRunTests {
  private static let tokens = Sample.tokens(4000)
  /// Contexts that are and that are not whole numbers of windows.
  static let options: [[String]] = [
    ["--estimator", "jvp", "--lifetime", "3"],
    ["--estimator", "jvp", "--perturbation", "rademacher", "--readout", "zo", "--layers", "2"],
    ["--estimator", "jvp", "--rank", "5"],
    ["--estimator", "jvp", "--perturbation", "gaussian", "--readout", "zo"],
    ["--estimator", "nres", "--context", "40"],
    ["--estimator", "nres", "--context", "37", "--perturbation", "gaussian"],
    ["--estimator", "pes", "--context", "37", "--perturbation", "gaussian"],
    ["--estimator", "nres", "--context", "37", "--rank", "4", "--readout", "zo"],
    ["--estimator", "pes", "--context", "37", "--rank", "2"],
    ["--estimator", "fd-rge", "--rank", "2", "--readout", "zo", "--layers", "2"],
    ["--estimator", "nres", "--context", "37", "--readout", "zo", "--perturbation", "rademacher"],
    ["--estimator", "pes", "--context", "40"],
    ["--estimator", "fd-rge", "--lifetime", "3", "--pairs", "40"],
    ["--estimator", "fd-rge", "--perturbation", "rademacher", "--readout", "zo", "--layers", "2"],
    ["--estimator", "fd-rge", "--step", "clipped", "--optimizer", "sgd", "--readout", "zo"],
    ["--estimator", "pes", "--context", "37", "--readout", "zo", "--perturbation", "rademacher"],
    ["--estimator", "node"],
    ["--estimator", "node", "--readout", "zo", "--layers", "2"],
    ["--estimator", "node", "--credit-decay", "1", "--context", "37", "--layers", "2", "--heads", "2"],
  ]

  @Test(arguments: options)
  func theRunSaysWhatItDid(options: [String]) throws {
    let runs = Runs("--max-steps", "60", "--log-interval", "20")
    let data = runs.folder.put("data", Self.tokens)
    let result = try runs.train(arguments: options + [data], out: "run")
    #expect(result.values["estimator"] as? String == options[1])
    let pairs = options.contains("--pairs") ? 40 : 16
    #expect(result["pairs"] == pairs)
    let columns = options.contains("fd-rge") ? pairs + 1 : 2 * pairs
    #expect(result["token_columns"] == result["tokens"]! * columns)
    let losses = try runs.metrics("run").compactMap { $0["train/loss"] as? Double }
    #expect(losses.count > 1 && losses.allSatisfy { $0 > 0 && $0 < 6 })
    // Somebody who asks for another estimator gets other weights.
    let others = options.dropFirst(2).filter { !["--lifetime", "3", "--credit-decay", "1"].contains($0) }
    let other = try runs.train(arguments: others + [data])
    #expect(other.digest != result.digest)
  }

  @Test(arguments: options)
  func threadsAndPiecesDoNotChangeABit(options: [String]) throws {
    let runs = Runs("--streams", "4")
    let data = runs.folder.put("data.zst", Sample.zstd(Self.tokens))
    func begin(_ steps: Int, _ out: String, _ more: String...) throws -> RunResult {
      try runs.train(arguments: options + ["--max-steps", "\(steps)"] + more + [data], out: out)
    }
    let whole = try begin(60, "whole")
    #expect(try begin(60, "threads", "--threads", "2").digest == whole.digest)
    _ = try begin(7, "pieces")
    // In the middle of contexts, at their ends, and one update behind.
    for steps in [10, 11, 33, 60] {
      let part = try runs.resume("pieces", "--max-steps", "\(steps)")
      if steps == 60 { #expect(part.digest == whole.digest) }
    }
  }

  @Test(arguments: options)
  func memoryIsPlannedAndKnowsNoContext(options: [String]) throws {
    let runs = Runs("--max-steps", "3", "--val-fraction", "0.1", "--streams", "4", "--threads", "2")
    let data = runs.folder.put("data", Self.tokens)
    func memory(_ more: String...) throws -> [String: Int] {
      try runs.train(arguments: options + more + [data]).memory
    }
    func plan(_ more: String...) throws -> [String: Int] {
      let outcome = try LongzooProcess.run(
        runs.arguments(options + more + ["--dry-run", data], out: "plan"), in: runs.folder)
      try #require(outcome.exitCode == 0, "\(options) \(more): \(outcome.errors)")
      return try RunResult(outcome.output).values.compactMapValues { $0 as? Int }
    }
    let held = try memory("--context", "1k")
    #expect(try plan("--context", "1k") == held)
    #expect(try memory("--context", "1M") == held)
    #expect(try plan("--context", "1M") == held)
    // What outlives a window does not grow with the windows.
    #expect(try memory("--context", "1k", "--max-steps", "100") == held)
  }

  @Test("node holds its window, which may be a whole context: as much for every token")
  func windowsOfNode() throws {
    let runs = Runs("--max-steps", "3", "--estimator", "node", "--window", "context")
    let data = runs.folder.put("data", Self.tokens)
    let held = try [37, 38, 39].map { context in
      try runs.train("--context", "\(context)", data).memory["peak_total"]!
    }
    #expect(held[1] > held[0] && held[2] - held[1] == held[1] - held[0])
    // The readout's rows are those of a chunk with either readout: logits that are moved add their signs, and no more.
    let both = try ["exact", "zo"].map { readout in
      try runs.train("--context", "4000", "--readout", readout, data).memory
    }
    #expect(abs(both[0]["activations"]! - both[1]["activations"]!) < 1024)
  }

  @Test func optionsThatDoNotGoTogether() throws {
    let runs = Runs("--max-steps", "2")
    let data = runs.folder.put("data", Self.tokens)
    let refused: [(options: [String], mentions: [String])] = [
      (["--estimator", "jvp", "--eps", "0.1"], ["--eps", "jvp"]),
      (["--estimator", "nres", "--lifetime", "2"], ["--lifetime", "nres"]),
      (["--optimizer", "sgd", "--beta2", "0.9"], ["--beta2", "sgd"]),
      (["--estimator", "pes", "--lifetime", "2"], ["--lifetime", "pes"]),
      (["--estimator", "nres", "--context", "0"], ["--context", "nres"]),
      (["--estimator", "pes", "--context", "0"], ["--context", "pes"]),
      (["--estimator", "nres", "--reset", "never"], ["--reset", "nres"]),
      (
        ["--estimator", "pes", "--step", "polyak", "--optimizer", "sgd", "--readout", "zo"],
        ["--step polyak", "pes"]
      ),
      (["--estimator", "fd-rge", "--max-divergence", "1"], ["--max-divergence", "fd-rge"]),
      (["--estimator", "fd-rge", "--regime", "inplace"], ["--regime", "cd-rge"]),
      (["--estimator", "jvp", "--regime", "inplace"], ["--regime", "cd-rge"]),
      (["--estimator", "nres", "--checkpointing", "sqrt"], ["--checkpointing", "nres"]),
      (["--estimator", "jvp", "--clip-norm", "1"], ["--clip-norm", "jvp"]),
      (["--estimator", "jvp", "--streams", "17"], ["--streams", "--pairs"]),
      (["--estimator", "fd-rge", "--perturbation", "gaussian"], ["fd-rge", "gaussian"]),
      (["--perturbation", "gaussian", "--hidden-size", "16384"], ["--perturbation gaussian"]),
      (["--rank", "2", "--perturbation", "gaussian"], ["--rank", "gaussian"]),
      (["--estimator", "node", "--rank", "2"], ["--rank", "node"]),
      (["--estimator", "node", "--perturbation", "rademacher"], ["--perturbation", "node"]),
      (["--estimator", "node", "--lifetime", "2"], ["--lifetime", "node"]),
      (["--estimator", "node", "--step", "clipped"], ["--step", "node"]),
      (["--estimator", "node", "--max-divergence", "1"], ["--max-divergence", "node"]),
      (["--estimator", "node", "--replay-log"], ["--replay-log", "node"]),
      (["--estimator", "node", "--window", "context"], ["--window", "node"]),
      (["--estimator", "node", "--window", "65536"], ["--window", "node"]),
      (["--estimator", "node", "--credit-decay", "1.1"], ["--credit-decay"]),
      (["--credit-decay", "0.5"], ["--credit-decay", "cd-rge"]),
      // What 32 bits make 0, infinite or 1 of.
      (["--eps", "1e-50"], ["--eps"]), (["--eps", "1e39"], ["--eps"]),
      (["--momentum", "0.999999999"], ["--momentum"]), (["--beta2", "0.999999999"], ["--beta2"]),
      (["--estimator", "hybrid", "--beyond-momentum", "0.999999999"], ["--beyond-momentum"]),
      (["--rank", "0"], ["--rank"]), (["--rank", "65"], ["--rank", "64"]),
      (["--rank", "2", "--perturbation", "rademacher"], ["--rank", "rademacher"]),
    ]
    for (options, mentions) in refused { try runs.fail(64, options + [data], mentions: mentions) }
  }

  @Test func compareKnowsThem() throws {
    let runs = Runs()
    let data = runs.folder.put("data", Self.tokens)
    let outcome = try LongzooProcess.run(
      [
        "compare", data, "--contexts", "64", "--methods", "jvp,nres,pes,fd-rge,node", "--hidden-size", "4",
        "--pairs",
        "16",
        "--seconds", "0.5", "--steps", "4", "--json",
      ], in: runs.folder, seconds: 120)
    try #require(outcome.exitCode == 0, "\(outcome.errors)")
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    let rows = try #require(object["results"] as? [[String: Any]])
    #expect(rows.compactMap { $0["method"] as? String } == ["jvp", "nres", "pes", "fd-rge", "node"])
    for row in rows {
      #expect((row["activation_bytes"] as? Int ?? 0) > 0 && row["cosine"] is Double, "\(row)")
    }
  }

  /// Streams are shared out among pairs: the default must not be more than there are.
  @Test(arguments: ["cd-rge", "fd-rge", "jvp", "nres", "pes", "node", "hybrid"], [1, 32])
  func defaultStreamsFitThePairs(estimator: String, pairs: Int) throws {
    var runs = Runs()
    runs.common = ["--estimator", estimator, "--pairs", "\(pairs)", "--hidden-size", "8"]
    let data = runs.folder.put("data", Self.tokens)
    #expect(try runs.train("--max-steps", "1", data)["streams"] == pairs)
  }
}
