import Foundation
import Testing

/// What --resume takes and what it refuses.
@Suite struct TrainResumeCheckTests {
  private static let tokens = Sample.tokens(4000)

  @Test func resumeFindsItsFolder() throws {
    let runs = Runs("--max-steps", "30")
    let data = runs.folder.put("data", Self.tokens)
    let whole = try runs.train("--max-steps", "60", data)
    try runs.train(data, out: "run")
    let before = runs.checkpoint("run")
    // Into another folder: the old one stays as it is.
    let other = try runs.resume("run", "--out-dir", "other", "--max-steps", "60")
    expectSame(other, whole)
    #expect((other["out_dir"] as String?)?.hasSuffix("/other") == true)
    #expect(runs.checkpoint("run") == before)
    // From the file.
    expectSame(
      try runs.resume("run/checkpoint.safetensors", "--out-dir", "third", "--max-steps", "60"), whole)
    // Alone, with --out-dir.
    for options in [["--resume", "--out-dir", "run"], ["--out-dir=run", "--resume"]] {
      let outcome = try LongzooProcess.run(
        ["train", "--json", "--quiet", "--max-steps", "60"] + options, in: runs.folder)
      expectSame(try RunResult(outcome.output), whole)
    }
    let lost = try LongzooProcess.run(["train", "--resume"], in: runs.folder)
    lost.expectFailure(64, mentions: ["--out-dir"], "--resume alone")
  }

  @Test func resumeAloneTakesAPipe() throws {
    let runs = Runs("--max-steps", "30")
    let whole = try runs.train("--max-steps", "60", "-", input: .bytes(Self.tokens))
    try runs.train("-", out: "run", input: .bytes(Self.tokens))
    let outcome = try LongzooProcess.run(
      ["train", "--json", "--quiet", "--out-dir", "run", "--max-steps", "60", "--resume", "-"],
      in: runs.folder,
      input: .bytes(Self.tokens))
    expectSame(try RunResult(outcome.output), whole)
  }

  @Test func resumeRefusesOtherModels() throws {
    let runs = Runs("--max-steps", "20")
    try runs.train(runs.folder.put("data", Self.tokens), out: "run")
    let before = runs.checkpoint("run")
    for options in [
      ["--hidden-size", "9"], ["--layers", "2"], ["--pairs", "8"], ["--streams", "2"],
      ["--vocab-size", "65"], ["--cell", "gru"],
      ["--readout", "zo"], ["--perturbation", "rademacher"], ["--rank", "2"], ["--lifetime", "77"],
      ["--seed", "1"],
      ["--window", "9"],
      ["--optimizer", "sgd"], ["--dtype", "u16"], ["--val-fraction", "0.2"], ["--skip-tokens", "1"],
    ] {
      let outcome = try LongzooProcess.run(["train", "--resume", "run"] + options, in: runs.folder)
      outcome.expectFailure(64, mentions: [options[0]], "\(options)")
    }
    #expect(runs.checkpoint("run") == before)
  }

  @Test(arguments: [1, 16])
  func resumeRefusesOtherData(streams: Int) throws {
    let runs = Runs("--max-steps", "20", "--streams", "\(streams)")
    let data = runs.folder.put("data", Self.tokens)
    try runs.train(data, out: "run")
    let before = runs.checkpoint("run")
    for (name, bytes) in [
      ("of the same size", Sample.tokens(4000, seed: 9)), ("longer", Self.tokens + [1]),
      ("shorter", Array(Self.tokens.dropLast())), ("packed", Sample.zstd(Self.tokens)),
    ] {
      let other = runs.folder.put("other", bytes)
      let outcome = try LongzooProcess.run(
        ["train", "--resume", "run", "--max-steps", "40", other], in: runs.folder)
      outcome.expectFailure(65, mentions: ["other"], name)
      #expect(runs.checkpoint("run") == before, "\(name)")
    }
    // The same bytes elsewhere are the same data; no data at all is an error that names the path.
    #expect(try runs.resume("run", "--max-steps", "40", runs.folder.put("moved", Self.tokens)).steps == 40)
    unlink(runs.folder("moved"))
    let lost = try LongzooProcess.run(["train", "--resume", "run", "--max-steps", "60"], in: runs.folder)
    lost.expectFailure(66, mentions: ["moved"], "data gone")
  }

  @Test func resumeRefusesOtherPipes() throws {
    let runs = Runs("--max-steps", "20")
    try runs.train("-", out: "run", input: .bytes(Self.tokens))
    let before = runs.checkpoint("run")
    for bytes in [Sample.tokens(4000, seed: 9), Array(Self.tokens[..<100]), []] {
      let outcome = try LongzooProcess.run(
        ["train", "--resume", "run", "--max-steps", "40", "-"], in: runs.folder, input: .bytes(bytes))
      outcome.expectFailure(65, mentions: ["standard input"], "\(bytes.count) bytes")
      #expect(runs.checkpoint("run") == before)
    }
  }

  @Test func resumeRefusesWhatIsNoCheckpoint() throws {
    let runs = Runs("--max-steps", "20")
    try runs.train(runs.folder.put("data", Self.tokens), out: "run")
    mkdir(runs.folder("none"), 0o755)
    let sound = runs.checkpoint("run").bytes
    for (path, code) in [
      ("none", Int32(66)), ("nowhere", 66), ("run/model.safetensors", 65),
      (runs.folder.put("text", Array("hello".utf8)), 65),
      (runs.folder.put("void", []), 65), (runs.folder.put("short", Array(sound.dropLast(5))), 65),
      (runs.folder.put("long", sound + [0]), 65), (runs.folder.put("head", Array(sound[..<100])), 65),
      ("/dev/null", 65),
    ] {
      let outcome = try LongzooProcess.run(["train", "--resume", path, "--out-dir", "new"], in: runs.folder)
      outcome.expectFailure(code, mentions: [path], path)
      #expect(!runs.folder.names.contains("new"), "\(path)")
    }
  }

  /// Changed characters in what a checkpoint says of its run: refused, or another sound run, and never a crash.
  @Test func damagedCheckpointsNeverCrash() throws {
    let runs = Runs("--max-steps", "20", "--context", "40")
    try runs.train(runs.folder.put("data", Self.tokens), out: "run")
    let sound = runs.checkpoint("run").bytes
    let length = sound[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    let digits = sound[8..<(8 + length)].indices.filter { (0x30...0x39).contains(sound[$0]) }
    let inMetadata = digits.filter { $0 < 8 + length / 2 }
    for trial in 0..<60 {
      var bytes = sound
      let place = inMetadata[trial * inMetadata.count / 60]
      bytes[place] = trial % 3 == 0 ? UInt8(ascii: "-") : UInt8(ascii: "9")
      let path = runs.folder.put("damaged", bytes)
      let outcome = try LongzooProcess.run(
        [
          "train", "--resume", path, "--out-dir", "new", "--overwrite", "--max-steps", "24",
          "--memory-budget", "1GiB",
          "--threads", "1",
        ],
        in: runs.folder, seconds: 20)
      let around = String(decoding: bytes[max(8, place - 30)...(place + 10)], as: UTF8.self)
      #expect(
        [0, 64, 65, 66, 74].contains(outcome.exitCode),
        "exit \(outcome.exitCode) at …\(around)…: \(outcome.errors)")
    }
  }
}
