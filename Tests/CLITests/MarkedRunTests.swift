import Foundation
import Testing

/// Data in which most tokens are read only.
@Suite struct MarkedRunTests {
  /// "Letters, the same letters again": of every 12 tokens the last 5 are targets.
  private static let tokens: [UInt8] = Sample.tokens(6000).enumerated().map { index, token in
    index % 12 < 7 ? token | 0x80 : token & 3
  }
  private static let options = ["--targets", "marked"]

  private func eval(_ runs: Runs, _ arguments: String...) throws -> RunResult {
    let outcome = try LongzooProcess.run(["eval", "--json"] + arguments, in: runs.folder)
    try #require(outcome.exitCode == 0, "\(arguments): \(outcome.errors)")
    return try RunResult(outcome.output)
  }

  private func targets(_ tokens: some Sequence<UInt8>) -> Int { tokens.count { $0 < 128 } }

  @Test(arguments: [
    ["--readout", "zo"], ["--window", "3"], ["--window", "context", "--context", "24"],
    ["--estimator", "tbptt", "--window", "3"], ["--estimator", "bptt", "--context", "24"],
    ["--regime", "inplace", "--window", "3"],
  ])
  func targetsAreCountedAndResumedExactly(options: [String]) throws {
    var runs = Runs()
    if options.contains(where: { $0.hasSuffix("bptt") }) {
      runs.common.removeAll { $0 == "--pairs" || $0 == "16" }
    }
    let data = runs.folder.put("data", Self.tokens)
    let all = options + Self.options
    func run(_ steps: Int, _ out: String, _ arguments: [String] = []) throws -> RunResult {
      let outcome = try LongzooProcess.run(
        runs.arguments(all + ["--max-steps", "\(steps)"] + arguments, out: out), in: runs.folder)
      try #require(outcome.exitCode == 0, "\(options): \(outcome.errors)")
      return try RunResult(outcome.output)
    }
    let whole = try run(100, "whole", [data])
    let read: Int = try #require(whole["tokens"])
    #expect(whole["targets"] == targets(Self.tokens[1...read]))
    #expect(whole["refused_updates"] == 0)
    let loss: Double = try #require(whole["train_loss_nats"])
    #expect(loss > 0 && loss < 5)
    _ = try run(41, "part", [data])
    let resumed = try runs.resume("part", "--max-steps", "100")
    #expect(resumed.digest == whole.digest)
    #expect(resumed["targets"] == whole["targets"]! as Int)
    // From a pipe the same, with what was consumed known again by its bytes.
    let piped = try LongzooProcess.run(
      runs.arguments(all + ["--max-steps", "41", "-"], out: "pipe"), in: runs.folder,
      input: .bytes(Self.tokens))
    #expect(piped.exitCode == 0, "\(piped.errors)")
    let again = try runs.resume("pipe", "--max-steps", "100", "-", input: .bytes(Self.tokens))
    #expect(again.digest == whole.digest)
  }

  @Test func withoutMarksTheyAreAllTargets() throws {
    let runs = Runs("--max-steps", "50", "--val-fraction", "0.2")
    let data = runs.folder.put("data", Sample.tokens(4000))
    let all = try runs.train(data, out: "all")
    let marked = try runs.train("--targets", "marked", data, out: "marked")
    #expect(marked.digest == all.digest)
    #expect(marked["val_loss_nats"] == all["val_loss_nats"]! as Double)
    #expect(all["targets"] == all["tokens"]! as Int)
    #expect(all["val_targets"] == all["val_tokens"]! as Int)
    #expect(all.values["val_accuracy"] is NSNull && marked["val_accuracy"]! as Double > 0)
  }

  @Test func whatIsRefused() throws {
    let runs = Runs("--targets", "marked")
    let data = runs.folder.put("data", Self.tokens)
    try runs.fail(64, ["--vocab-size", "129", data], mentions: ["--vocab-size 129", "128 ids"])
    try runs.fail(64, ["--dtype", "u16", "--vocab-size", "40k", data], mentions: ["32768 ids"])
    var bad = Self.tokens
    bad[100] = 0x80 | 77
    let outside = runs.folder.put("bad", bad)
    try runs.fail(65, ["--max-steps", "100", outside], mentions: ["the id 77", "100"])
    try runs.train("--max-steps", "3", data, out: "run")
    let outcome = try LongzooProcess.run(
      ["train", "--json", "--quiet", "--resume", "run", "--targets", "all", "--max-steps", "5"],
      in: runs.folder)
    outcome.expectFailure(64, mentions: ["--targets was marked"], "resume")
    let none = runs.folder.put("none", Self.tokens.map { $0 | 0x80 })
    let evaluated = try LongzooProcess.run(["eval", "run", none], in: runs.folder)
    evaluated.expectFailure(65, mentions: ["without a mark"], "eval")
    // Windows without a target leave the weights alone; a run of nothing else has failed.
    let part = runs.folder.put("part", Array(Self.tokens.prefix(800)) + Self.tokens.map { $0 | 0x80 })
    let before = try runs.train("--max-steps", "100", part, out: "before")
    #expect(try runs.train("--max-steps", "101", part, out: "after")["refused_updates"] == 0)
    #expect(before["targets"]! as Int > 0)
    try runs.fail(65, ["--max-steps", "40", none], out: "idle", mentions: [none, "learns nothing"])
  }

  @Test func markedBytesNeedNoVocabulary() throws {
    var runs = Runs("--max-steps", "2")
    runs.common.removeAll { $0 == "--vocab-size" || $0 == "64" }
    let data = runs.folder.put("data", Self.tokens)
    let marked: Int = try #require(try runs.train("--targets", "marked", data)["parameters"])
    let half: Int = try #require(
      try runs.train("--vocab-size", "128", runs.folder.put("d", Sample.tokens(99)))["parameters"])
    #expect(marked == half)
  }

  @Test func answersAreScored() throws {
    let runs = Runs("--max-steps", "400", "--window", "12", "--context", "12", "--targets", "marked")
    // An answer of 5 tokens after 7 marked ones; three of the five never change, the last follows the first token.
    let sequences: [UInt8] = (0..<400).flatMap { index -> [UInt8] in
      let symbol = UInt8(index * 7 % 3)
      return [0x80 | symbol] + [UInt8](repeating: 0x80 | 9, count: 6) + [4, 5, 4, 5, 6]
    }
    let data = runs.folder.put("data", sequences)
    try runs.train("--estimator", "cd-rge", data, out: "run")
    let result = try eval(runs, "run", data, "--reset-every", "12")
    #expect(result["tokens"] == 4799 && result["targets"] == 2000 && result["answers"] == 400)
    let accuracy: Double = try #require(result["accuracy"])
    let whole: Double = try #require(result["sequence_accuracy"])
    #expect(accuracy > 0.5 && whole <= accuracy)
    // Positions 7…11 are targets: buckets 2 and 3; nothing before.
    let positions = try #require(result.values["loss_by_position"] as? [Any])
    #expect(positions.count == 4 && positions[0] is NSNull && positions[1] is NSNull)
    let means = try positions[2...].map { try #require($0 as? Double) }
    let loss: Double = try #require(result["loss_nats"])
    #expect(abs((means[0] * 400 + means[1] * 1600) / 2000 - loss) < 1e-6)
    // Threads share the pieces, and change nothing.
    for threads in ["1", "2", "5"] {
      let other = try eval(runs, "run", data, "--reset-every", "12", "--threads", threads)
      #expect(other.values as NSDictionary == result.values as NSDictionary, "\(threads) threads")
    }
    // A reset ends an answer; without marks every token is a target of one answer.
    #expect(try eval(runs, "run", data, "--reset-every", "9")["answers"]! as Int > 400)
    let plain = try eval(runs, "run", runs.folder.put("p", sequences.map { $0 & 0x7f }))
    #expect(plain["answers"] == 1 && plain["targets"] == 4799)
    let limited = try eval(runs, "run", data, "--reset-every", "12", "--max-tokens", "1200")
    #expect(limited["answers"] == 100 && limited["tokens"] == 1200)
  }
}
