import Foundation
import Testing

/// A run in pieces is the run at once, bit for bit.
@Suite struct TrainResumeTests {
  private static let tokens = Sample.tokens(4000)

  /// 200 updates at once, in halves, and in four odd pieces.
  private func checkPieces(
    _ runs: Runs, _ options: [String], data: [String], input: LongzooProcess.Input = .nothing
  ) throws {
    func begin(_ steps: Int, _ out: String) throws -> RunResult {
      try runs.train(arguments: options + ["--max-steps", "\(steps)"] + data, out: out, input: input)
    }
    func goOn(_ steps: Int, _ out: String) throws -> RunResult {
      // A pipe is named by the checkpoint already.
      try runs.resume(out, "--max-steps", "\(steps)", input: input)
    }
    let whole = try begin(200, "whole")
    #expect(whole.steps == 200)
    _ = try begin(100, "halves")
    expectSame(try goOn(200, "halves"), whole)
    _ = try begin(37, "odd")
    for steps in [111, 173] { #expect(try goOn(steps, "odd").steps == steps) }
    expectSame(try goOn(200, "odd"), whole)
    // Nothing is left to do.
    expectSame(try goOn(200, "odd"), whole)
  }

  @Test(arguments: [
    ["--lifetime", "1"], ["--lifetime", "8"], ["--context", "72", "--lifetime", "5"],
    ["--window", "context", "--context", "24"],
    ["--readout", "zo", "--layers", "2"], ["--perturbation", "rademacher", "--lifetime", "3"],
    ["--rank", "3", "--lifetime", "3"], ["--perturbation", "gaussian", "--lifetime", "3"],
    ["--optimizer", "sgd", "--warmup", "60"], ["--optimizer", "muon", "--layers", "2"],
    ["--skip-tokens", "11", "--context", "0"],
  ])
  func oneStream(options: [String]) throws {
    let runs = Runs()
    try checkPieces(runs, options, data: [runs.folder.put("data.zst", Sample.zstd(Self.tokens))])
  }

  @Test(arguments: [
    ["--lifetime", "8"], ["--context", "72", "--lifetime", "5"],
    ["--readout", "zo", "--perturbation", "rademacher"],
  ])
  func sixteenStreams(options: [String]) throws {
    let runs = Runs("--streams", "16")
    try checkPieces(runs, options, data: [runs.folder.put("data", Self.tokens)])
  }

  @Test(arguments: [1, 16])
  func acrossTheEndOfTheData(streams: Int) throws {
    let bytes = Array(Self.tokens[..<700])
    let runs = Runs("--streams", "\(streams)", "--val-fraction", "0.1")
    let folder = runs.folder
    for data in [
      [folder.put("plain", bytes)], [folder.put("one.lz4", Sample.lz4(bytes))],
      [folder.put("a.zst", Sample.zstd(Array(bytes[..<301]))), folder.put("b", Array(bytes[301...]))],
    ] {
      try checkPieces(runs, [], data: data)
    }
  }

  @Test func pipes() throws {
    try checkPieces(Runs(), ["--lifetime", "4"], data: ["-"], input: .bytes(Self.tokens, pieces: [3, 1000]))
    try checkPieces(Runs(), [], data: ["-"], input: .bytes(Sample.zstd(Self.tokens), pieces: [17]))
  }

  /// A finished pipe's last window is short; what was read of it is in the digest of both.
  @Test func toTheEndOfAPipe() throws {
    let runs = Runs()
    let bytes = Array(Self.tokens[..<1003])
    let whole = try runs.train("-", out: "whole", input: .bytes(bytes))
    #expect(whole["stopped_by"] == "end-of-data")
    #expect(whole["tokens"] == 1002)
    try runs.train("--max-steps", "50", "-", out: "part", input: .bytes(bytes))
    expectSame(try runs.resume("part", "--max-steps", "1k", "-", input: .bytes(bytes)), whole)
  }

  // MARK: Kills and signals

  @Test(arguments: [["--streams", "1"], ["--streams", "16"], ["--streams", "1", "-"]])
  func killedRunsGoOnFromTheirLastCheckpoint(options: [String]) throws {
    let runs = Runs(
      "--max-steps", "6000", "--save-interval", "150", "--log-interval", "20", "--lifetime", "4")
    let isPipe = options.last == "-"
    let input: LongzooProcess.Input = isPipe ? .bytes(Sample.tokens(50_000)) : .nothing
    let data = isPipe ? [] : [runs.folder.put("data.lz4", Sample.lz4(Sample.tokens(50_000)))]
    let begin = runs.arguments(options + data, out: "run")
    let whole = try RunResult(
      LongzooProcess.run(runs.arguments(options + data, out: "whole"), in: runs.folder, input: input).output)
    #expect(whole.steps == 6000)

    var kills: [Int] = []
    var result: RunResult?
    for attempt in 0..<12 where result == nil {
      let resume = ["train", "--json", "--quiet", "--resume", "run"]
      let child = try LongzooProcess(
        runs.checkpoint("run").isEmpty ? begin : resume, in: runs.folder, input: input)
      if attempt < 6 {
        let microseconds = Int.random(in: 5000...180_000)
        usleep(UInt32(microseconds))
        child.send(SIGKILL)
        kills.append(microseconds)
      }
      let outcome = child.wait()
      if outcome.exitCode == 0 {
        result = try RunResult(outcome.output)
      } else {
        #expect(outcome.exitCode == 128 + SIGKILL, "\(kills): \(outcome.errors)")
      }
    }
    #expect(result?.digest == whole.digest, "killed after \(kills) µs")
    #expect(result?.steps == 6000)
    let steps = try runs.metrics("run").compactMap { $0["step"] as? Int }
    #expect(steps == Array(stride(from: 20, through: 6000, by: 20)), "killed after \(kills) µs")
    let left = try FileManager.default.contentsOfDirectory(atPath: runs.folder("run"))
    #expect(Set(["checkpoint.safetensors", "metrics.jsonl", "model.safetensors"]).isSubset(of: left))
    #expect(!left.contains { $0.contains(".tmp-") }, "\(left)")
  }

  /// Waits until a run has done some updates.
  private func awaitSteps(_ runs: Runs, _ out: String) throws {
    let deadline = Date().addingTimeInterval(30)
    while runs.folder.bytes(out + "/metrics.jsonl").isEmpty {
      try #require(Date() < deadline, "no update within 30 s")
      usleep(5000)
    }
  }

  /// A terminal that is gone, the reader of a log that has died, a full disk: what cannot be said is not said, and the run is saved.
  @Test(arguments: ["exec 2>/dev/full;", "rm -f p; mkfifo p; cat p >/dev/null & exec 2>p; kill $!; wait;"])
  func nobodyListensToTheErrors(shell: String) throws {
    let runs = Runs("--log-interval", "1")
    let data = runs.folder.put("data", Sample.tokens(60_000))
    let arguments = runs.arguments(["--max-steps", "100M", data], out: "run").filter { $0 != "--quiet" }
    let child = try LongzooProcess(arguments, in: runs.folder, shell: shell)
    try awaitSteps(runs, "run")
    child.send(SIGTERM)
    let outcome = child.wait()
    #expect(outcome.exitCode == 128 + SIGTERM && outcome.errors == "")
    #expect(try RunResult(outcome.output).steps > 0)
    let unknown = try LongzooProcess.run(
      ["train", "--context", "0", "--window", "context", data], in: runs.folder, shell: shell)
    #expect(unknown.exitCode == 64 && unknown.errors == "")
  }

  @Test(arguments: [(SIGINT, "run", false), (SIGTERM, "it's a run", false), (SIGINT, "piped", true)])
  func signalsEndARunInOrder(number: Int32, out: String, isPipe: Bool) throws {
    let runs = Runs("--log-interval", "1", "--lifetime", "4")
    let bytes = Sample.tokens(60_000)
    let input: LongzooProcess.Input = isPipe ? .endless(bytes, repetitions: 1000) : .nothing
    let data = isPipe ? "-" : runs.folder.put("data", bytes)
    let child = try LongzooProcess(
      runs.arguments(["--max-steps", "100M", data], out: out), in: runs.folder, input: input)
    try awaitSteps(runs, out)
    child.send(number)
    let outcome = child.wait()
    #expect(outcome.exitCode == 128 + number)
    let stopped = try RunResult(outcome.output)
    #expect(stopped["stopped_by"] == "signal")
    #expect(stopped.steps > 0)
    let whole = try runs.train("--max-steps", "\(stopped.steps)", data, input: input)
    expectSame(stopped, whole)

    // The command as it is printed, in a shell.
    let command = try #require(
      outcome.errors.split(separator: "\n").last { $0.contains("longzoo train --resume") })
    let options = try #require(command.range(of: "longzoo ")).upperBound
    let binary = try LongzooProcess.binary.get()
    let resumed = try LongzooProcess.run(
      [], in: runs.folder, input: input,
      shell: "exec '\(binary)' \(command[options...]) --json --quiet --max-steps \(stopped.steps + 77);")
    #expect(resumed.exitCode == 0, "\(command): \(resumed.errors)")
    expectSame(
      try RunResult(resumed.output),
      try runs.train("--max-steps", "\(stopped.steps + 77)", data, input: input))
  }

  @Test func peopleAreToldHowToGoOn() throws {
    let runs = Runs("--log-interval", "1")
    let data = runs.folder.put("data", Self.tokens)
    let arguments = runs.arguments([data], out: "run").filter { $0 != "--json" && $0 != "--quiet" }
    let child = try LongzooProcess(arguments, in: runs.folder)
    try awaitSteps(runs, "run")
    child.send(SIGTERM)
    let outcome = child.wait()
    #expect(outcome.exitCode == 143)
    #expect(
      outcome.output.contains("longzoo train --resume \(runs.folder("run"))\n"), "\(outcome.output)")
  }

  /// A pipe that gives nothing more does not hold up a signal, within a window or between two.
  @Test(arguments: [497, 500])
  func signalsEndTheWaitForAPipe(count: Int) throws {
    let runs = Runs("--log-interval", "1", "--save-interval", "0")
    let child = try LongzooProcess(
      runs.arguments(["-"], out: "run"), in: runs.folder, input: .stalled(Array(Self.tokens[..<count])))
    try awaitSteps(runs, "run")
    usleep(200_000)
    child.send(SIGTERM)
    let outcome = child.wait(seconds: 10)
    #expect(outcome.exitCode == 143)
    #expect(try RunResult(outcome.output).steps == 62)
    let whole = try runs.train("--max-steps", "90", "-", input: .bytes(Self.tokens))
    expectSame(try runs.resume("run", "--max-steps", "90", "-", input: .bytes(Self.tokens)), whole)
  }
}
