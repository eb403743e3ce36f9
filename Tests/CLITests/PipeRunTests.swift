import Foundation
import Testing

/// Pipes under any name behave like standard input.
@Suite struct PipeRunTests {
  private static let tokens = Sample.tokens(30_000)
  private static let options = [
    "train", "--hidden-size", "8", "--pairs", "4", "--threads", "1", "--max-steps", "40", "--json", "--quiet",
  ]
  /// Standard input under another number, as a process substitution has it.
  private static let renamed = "exec 7<&0 0</dev/null;"
  private let folder = TestFolder()

  private func train(
    _ more: String..., out: String, input: [UInt8] = Self.tokens, shell: String? = nil
  ) throws -> RunResult {
    let outcome = try LongzooProcess.run(
      Self.options + ["--out-dir", out] + more, in: folder, input: .bytes(input), shell: shell)
    try #require(outcome.exitCode == 0, "\(more): \(outcome.errors)")
    return try RunResult(outcome.output)
  }

  @Test(arguments: ["/dev/fd/7", "/proc/self/fd/7"]) func processSubstitution(name: String) throws {
    let expected = try train("-", out: "plain")
    #expect(expected["streams"] == 1 && expected.values["val_tokens"] is NSNull)
    let result = try train(name, out: "run0", shell: Self.renamed)
    #expect(result["streams"] == 1 && result.values["val_tokens"] is NSNull)
    expectSame(result, expected)
    expectSame(try train("/dev/stdin", out: "stdin"), expected)

    // It goes on with the stream from its start, however that comes; without one it says so.
    let whole = try train("-", "--max-steps", "80", out: "whole")
    _ = try train(name, out: "run1", shell: Self.renamed)
    _ = try train(name, out: "run2", shell: Self.renamed)
    func arguments(_ run: Int) -> [String] {
      ["train", "--json", "--quiet", "--resume", "run\(run)", "--max-steps", "80"]
    }
    for (run, data, shell) in [(0, "-", ""), (1, name, Self.renamed)] {
      let outcome = try LongzooProcess.run(
        arguments(run) + [data], in: folder, input: .bytes(Self.tokens), shell: shell)
      #expect(outcome.exitCode == 0, "\(outcome.errors)")
      expectSame(try RunResult(outcome.output), whole)
    }
    let gone = try LongzooProcess.run(arguments(2), in: folder)
    gone.expectFailure(64, mentions: [name, "--new-data"], "a pipe that is gone")
    let dry = try LongzooProcess.run(
      Self.options + ["--dry-run", "--out-dir", "dry", name], in: folder, input: .stalled([]),
      shell: Self.renamed)
    #expect(dry.exitCode == 0, "\(dry.errors)")
  }

  @Test func aPipeAmongFilesIsRefused() throws {
    let file = folder.put("data", Self.tokens)
    for paths in [["-", file], [file, "/dev/fd/7"], [file, "/dev/stdin"]] {
      let outcome = try LongzooProcess.run(
        Self.options + ["--out-dir", "o"] + paths, in: folder, input: .bytes(Self.tokens), shell: Self.renamed
      )
      outcome.expectFailure(64, mentions: ["a pipe cannot be one of several files", "cat a"], "\(paths)")
    }
  }

  @Test(arguments: ["cd-rge", "node", "hybrid", "jvp"]) func oneStreamTakesFewPairs(estimator: String) throws
  {
    let options = Self.options.filter { $0 != "--pairs" && $0 != "4" } + ["--estimator", estimator]
    let outcome = try LongzooProcess.run(
      options + ["--out-dir", "o", "-"], in: folder, input: .bytes(Self.tokens))
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(try RunResult(outcome.output)["pairs"] == 16)
  }

  @Test func evaluationInOnePass() throws {
    _ = try train("-", out: "run")
    let data = folder.put("data", Self.tokens)
    func eval(_ more: String..., input: [UInt8] = Self.tokens) throws -> NSDictionary {
      let outcome = try LongzooProcess.run(
        ["eval", "run", "--json"] + more, in: folder, input: .bytes(input, pieces: [1000, 3]),
        shell: Self.renamed)
      #expect(outcome.exitCode == 0, "\(more): \(outcome.errors)")
      return try RunResult(outcome.output).values as NSDictionary
    }
    for options in [[], ["--reset-every", "100"], ["--max-tokens", "5k"], ["--skip-tokens", "77"]] {
      let expected = try RunResult(
        LongzooProcess.run(["eval", "run", "--json", data] + options, in: folder).output)
      let outcome = try LongzooProcess.run(
        ["eval", "run", "--json", "-"] + options, in: folder, input: .bytes(Self.tokens, pieces: [1000, 3]))
      #expect(outcome.exitCode == 0, "\(outcome.errors)")
      #expect(
        try RunResult(outcome.output).values as NSDictionary == expected.values as NSDictionary, "\(options)")
    }
    #expect(try eval("/dev/fd/7") == eval("/dev/fd/7", input: Sample.zstd(Self.tokens)))
    let quiet = try LongzooProcess(["eval", "run", "-"], in: folder, input: .stalled([1, 2, 3]))
    usleep(500_000)
    quiet.send(SIGTERM)
    #expect(quiet.wait(seconds: 20).exitCode == 143)
    let empty = try LongzooProcess.run(["eval", "run", "-"], in: folder)
    empty.expectFailure(65, mentions: ["standard input"], "nothing to evaluate")
  }

  /// Waiting is no training: the clock stands still, and the line says so.
  @Test func aQuietPipe() throws {
    let arguments = Self.options.filter { $0 != "--quiet" && $0 != "--max-steps" && $0 != "40" }
    let child = try LongzooProcess(
      arguments + ["--max-seconds", "3", "--out-dir", "run", "-"], in: folder,
      input: .stalled(Array(Self.tokens[..<100])))
    let said = { (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [] }
    let deadline = Date().addingTimeInterval(40)
    while Date() < deadline,
      !said().contains(where: { $0.hasPrefix(".err-") && folder.text($0).contains("waiting for data") })
    {
      usleep(50_000)
    }
    child.send(SIGTERM)
    let outcome = child.wait()
    #expect(outcome.exitCode == 143 && outcome.errors.contains("waiting for data"), "\(outcome.errors)")
    let result = try RunResult(outcome.output)
    let (seconds, waited): (Double, Double) = (
      try #require(result["seconds"]), try #require(result["stream_wait_seconds"])
    )
    #expect(waited > 1 && seconds < waited && result.steps == 12)
  }

  @Test func optionsComeFromAPipe() throws {
    let data = folder.put("data", Self.tokens)
    let outcome = try LongzooProcess.run(
      Self.options.filter { $0 != "--pairs" && $0 != "4" } + [
        "--out-dir", "o", "--config", "/dev/fd/7", data,
      ],
      in: folder, input: .bytes(Array(#"{"pairs": 5, "streams": 2}"#.utf8)), shell: Self.renamed)
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    let result = try RunResult(outcome.output)
    #expect(result["pairs"] == 5 && result["streams"] == 2)
  }
}
