import Foundation
import Testing

@Suite struct EvalCommandTests {
  private static let tokens = Sample.tokens(20_000)

  private func eval(
    _ runs: Runs, _ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> RunResult {
    let outcome = try LongzooProcess.run(
      ["eval", "--json"] + arguments, in: runs.folder, sourceLocation: sourceLocation)
    try #require(outcome.exitCode == 0, "\(arguments): \(outcome.errors)", sourceLocation: sourceLocation)
    return try RunResult(outcome.output, sourceLocation: sourceLocation)
  }

  private func loss(_ result: RunResult) throws -> Double { try #require(result["loss_nats"]) }

  @Test func theLossIsTheRuns() throws {
    let runs = Runs("--max-steps", "300", "--val-fraction", "0.3")
    let data = runs.folder.put("data", Self.tokens)
    let held = runs.folder.put("held", Array(Self.tokens[14_000...]))
    let run = try runs.train(data, out: "run")
    let expected: Double = try #require(run["val_loss_nats"])
    #expect(expected < log(64), "the run has learned nothing")
    let result = try eval(runs, "run", held)
    #expect(result["tokens"] == 5999)
    #expect(result["tokens"] == run["val_tokens"]! as Int)
    #expect(abs(try loss(result) - expected) < 1e-6)
    for (key, other) in [
      ("bits_per_token", "val_bits_per_token"), ("unigram_bits", "unigram_bits"),
      ("bigram_bits", "bigram_bits"),
    ] {
      let pair: (Double, Double) = (try #require(result[key]), try #require(run[other]))
      #expect(abs(pair.0 - pair.1) < 1e-6, "\(key)")
    }
    // Both files of the run; packed data; several files; threads.
    #expect(try loss(eval(runs, "run/model.safetensors", held)) == loss(result))
    let packed = runs.folder.put("held.zst", Sample.zstd(Array(Self.tokens[14_000...])))
    #expect(try loss(eval(runs, "run", packed, "--threads", "2")) == loss(result))
    let halves = [
      runs.folder.put("a", Array(Self.tokens[14_000..<15_001])),
      runs.folder.put("b", Array(Self.tokens[15_001...])),
    ]
    #expect(try loss(eval(runs, "run", halves[0], halves[1])) == loss(result))
    #expect(try loss(eval(runs, "run", data, "--skip-tokens", "14k")) == loss(result))
    // A checkpoint holds the weights in training, the model the averaged ones: close, and not the same.
    let training = try loss(eval(runs, "run/checkpoint.safetensors", held))
    #expect(abs(training - expected) < 0.5)
    // Held-out data in a file of its own.
    let own = try runs.train("--val-fraction", "0", "--val", held, data, out: "own")
    #expect(abs(try loss(eval(runs, "own", held)) - (try #require(own["val_loss_nats"] as Double?))) < 1e-6)
  }

  @Test func keysAndLimits() throws {
    let runs = Runs("--max-steps", "300")
    let data = runs.folder.put("data", Self.tokens)
    try runs.train(data, out: "run")
    let all = try eval(runs, "run", data)
    #expect(
      Set(all.values.keys) == [
        "command", "loss_nats", "bits_per_token", "tokens", "unigram_bits", "bigram_bits", "loss_by_position",
        "targets", "accuracy", "sequence_accuracy", "answers", "partial",
      ])
    #expect(all["command"] == "eval")
    #expect(all["tokens"] == 19_999)
    let bits: Double = try #require(all["bits_per_token"])
    #expect(abs(bits - (try loss(all)) / log(2)) < 1e-9)

    let some = try eval(runs, "run", data, "--max-tokens", "5k")
    #expect(some["tokens"] == 5000)
    let first = runs.folder.put("first", Array(Self.tokens[...5000]))
    #expect(try loss(eval(runs, "run", first)) == loss(some))
    #expect(try eval(runs, "run", data, "--max-tokens", "1")["tokens"] == 1)
    #expect(
      try loss(eval(runs, "run", data, "--max-tokens", "\(Int.max)", "--reset-every", "\(Int.max)"))
        == loss(all))

    // Positions: 2^i of them in the i-th mean, together the whole.
    let positions: [Double] = try #require(all["loss_by_position"])
    #expect(positions.count == 15)
    let counts = (0..<15).map { $0 < 14 ? 1 << $0 : 19_999 - (1 << 14 - 1) }
    let sum = zip(positions, counts).reduce(0) { $0 + $1.0 * Double($1.1) }
    #expect(abs(sum / 19_999 - (try loss(all))) < 1e-6)

    // A state that is thrown away often knows less, and means stop at the reset.
    let reset = try eval(runs, "run", data, "--reset-every", "4")
    #expect((reset["loss_by_position"] as [Double]?)?.count == 3)
    #expect(try loss(reset) != loss(all))
    #expect(try loss(eval(runs, "run", data, "--reset-every", "20k")) == loss(all))
    let pieces = try (0..<3).map { piece in
      try loss(eval(runs, "run", data, "--skip-tokens", "\(piece * 100)", "--max-tokens", "100"))
    }
    let together = try loss(eval(runs, "run", data, "--reset-every", "100", "--max-tokens", "300"))
    #expect(abs(together - pieces.reduce(0, +) / 3) < 1e-6)
  }

  /// An evaluation in the middle of a run changes nothing but the log.
  @Test func evaluationsOnTheWay() throws {
    let runs = Runs("--max-steps", "50", "--val-fraction", "0.1", "--log-interval", "5")
    let data = runs.folder.put("data", Self.tokens)
    let plain = try runs.train(data, out: "plain")
    let often = try runs.train("--eval-interval", "10", "--eval-tokens", "100", data, out: "often")
    #expect(plain.digest == often.digest)
    #expect(often["val_tokens"] == 100)
    let losses = try runs.metrics("often").filter { $0["val/loss"] is Double }.compactMap {
      $0["step"] as? Int
    }
    #expect(Set(losses) == [10, 20, 30, 40, 50])
    #expect(try runs.metrics("plain").filter { $0["val/loss"] is Double }.count == 1)
  }

  @Test func tokenTypesAreRemembered() throws {
    let runs = Runs("--max-steps", "30", "--dtype", "u16", "--vocab-size", "300")
    let words = runs.folder.put("words", Self.tokens.flatMap { [$0, $0 % 2] }.map { UInt8($0) })
    let bytes = runs.folder.put("bytes", Self.tokens)
    try runs.train("--vocab-size", "320", words, out: "run")
    #expect(try eval(runs, "run", words)["tokens"] == 19_999)
    #expect(try eval(runs, "run", bytes, "--dtype", "u8")["tokens"] == 19_999)
  }

  @Test func whatCannotBeEvaluated() throws {
    let runs = Runs("--max-steps", "5")
    let data = runs.folder.put("data", Self.tokens)
    try runs.train(data, out: "run")
    mkdir(runs.folder("void"), 0o755)
    let sound = runs.folder.bytes("run/model.safetensors")
    let text = runs.folder.put("text", Array("no weights at all".utf8))
    let short = runs.folder.put("short", Array(sound.dropLast()))
    let over = runs.folder.put("over", Self.tokens + [64])
    let one = runs.folder.put("one", [1])
    for (arguments, code, mentions) in [
      ([text, data], Int32(65), text), ([short, data], 65, short), (["void", data], 66, "void"),
      (["nowhere", data], 66, "nowhere"),
      (["run", "nowhere"], 66, "nowhere"), (["run", over], 65, "token 20000"),
      (["run", one], 65, "at least 2"),
      (["run", data, "--vocab-size", "65"], 64, "--vocab-size"), (["run"], 64, "data"),
      (["run", data, "--expect-tokens", "5"], 65, "--expect-tokens"),
      (["run", data, "--threads", "0"], 64, "--threads"),
      (["run", data, "--max-tokens", "-1"], 64, "--max-tokens"),
      (["run", data, "--reset-every", "x"], 64, "--reset-every"),
      (["run", data, "--skip-tokens", "20k"], 65, "data"),
    ] {
      let outcome = try LongzooProcess.run(["eval", "--json"] + arguments, in: runs.folder)
      outcome.expectFailure(code, mentions: [mentions], "\(arguments)")
    }
    for file in try CorpusFile.all() where file.exitCode != 0 && file.dtype == "u8" {
      let path = CorpusFile.folder.appending(path: file.path).path
      let outcome = try LongzooProcess.run(["eval", "run", path], in: runs.folder)
      outcome.expectFailure(65, mentions: [path], path)
    }
  }
}
