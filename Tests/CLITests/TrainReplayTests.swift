import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// The weights of any step, out of the replay log alone.
@Suite struct TrainReplayTests {
  private static let tokens = Sample.tokens(4000)
  private static let options = ["--readout", "zo", "--replay-log", "--context", "150"]

  private func replay(_ runs: Runs, _ out: String, step: Int, _ more: String...) throws -> RunResult {
    let outcome = try LongzooProcess.run(
      ["replay", out, "--step", "\(step)", "--json"] + more, in: runs.folder)
    try #require(outcome.exitCode == 0, "\(outcome.errors)")
    return try RunResult(outcome.output)
  }

  @Test(arguments: [
    [], ["--optimizer", "sgd"], ["--optimizer", "muon"],
    ["--optimizer", "sgd", "--step", "polyak", "--lr", "0.01"],
    ["--weight-decay", "0.1", "--step", "clipped"],
    ["--lifetime", "3", "--streams", "16", "--pairs", "40"],
    ["--perturbation", "rademacher", "--layers", "2"], ["--rank", "3", "--layers", "2"],
    ["--perturbation", "gaussian", "--layers", "2"],
    ["--regime", "inplace", "--momentum", "0", "--optimizer", "sgd"], ["--window", "100"],
    ["--window", "context"],
    ["--lr-schedule", "cosine", "--warmup", "5"], ["--estimator", "jvp"],
    ["--estimator", "nres", "--context", "70"],
    ["--estimator", "pes", "--context", "70"], ["--lr", "auto"],
  ])
  func stepsAreMadeAgainBitForBit(options: [String]) throws {
    let runs = Runs()
    let data = runs.folder.put("data", Self.tokens)
    func train(_ steps: Int, _ out: String) throws -> String {
      let outcome = try LongzooProcess.run(
        runs.arguments(
          Self.options + options.filter { !$0.hasPrefix("--lr-sch") && $0 != "cosine" }
            + ["--max-steps", "\(steps)", data], out: out), in: runs.folder)
      try #require(outcome.exitCode == 0, "\(options): \(outcome.errors)")
      return try RunResult(outcome.output).digest
    }
    let end = try train(47, "run")
    #expect(try replay(runs, "run", step: 47).digest == end)
    for step in [1, 18] {
      let result = try replay(runs, "run", step: step, "--threads", "2")
      #expect(result["from_step"] == 0 && result["step"] == step)
      #expect(try train(step, "run-\(step)") == result.digest, "step \(step)")
    }
  }

  @Test func aResumedRunHasOneLog() throws {
    let runs = Runs()
    let data = runs.folder.put("data", Self.tokens)
    let options = Self.options + ["--lifetime", "4", "--log-interval", "1", "--save-interval", "10"]
    func train(_ steps: Int, _ out: String) throws -> RunResult {
      try RunResult(
        LongzooProcess.run(
          runs.arguments(options + ["--max-steps", "\(steps)", data], out: out), in: runs.folder
        ).output)
    }
    let whole = try train(60, "whole")
    _ = try train(25, "run")
    #expect(try runs.resume("run", "--max-steps", "60").digest == whole.digest)
    let log = runs.folder.bytes("run/replay.log")
    // Behind the configuration, which differs in --max-steps, all is the same.
    let other = runs.folder.bytes("whole/replay.log")
    func records(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
      bytes[(24 + Int(ReplayReader.integer(bytes, 20, UInt32.self)))...]
    }
    #expect(FileImage(bytes: Array(records(log))) == FileImage(bytes: Array(records(other))))
    for step in [24, 25, 26, 60] {
      #expect(try replay(runs, "run", step: step).digest == replay(runs, "whole", step: step).digest)
    }
    // From a checkpoint in between.
    _ = try train(31, "part")
    try FileManager.default.copyItem(atPath: runs.folder("part"), toPath: runs.folder("whole of part"))
    _ = try runs.resume("whole of part", "--max-steps", "60")
    let from = try replay(runs, "whole of part", step: 60, "--from", "part")
    #expect(from["from_step"] == 31 && from.digest == whole.digest)
    // In another folder the log begins where the run does.
    #expect(try runs.resume("part", "--out-dir", "other", "--max-steps", "60").digest == whole.digest)
    #expect(
      try replay(runs, "other", step: 50, "--from", "part").digest == replay(runs, "whole", step: 50).digest)
    #expect(try replay(runs, "other", step: 60)["from_step"] == 60)
    try LongzooProcess.run(["replay", "other", "--step", "50"], in: runs.folder)
      .expectFailure(64, mentions: ["--from", "31"], "too early")
  }

  @Test func whatWasTornIsDropped() throws {
    let runs = Runs()
    let data = runs.folder.put("data", Self.tokens)
    let arguments = { (steps: Int, out: String) in
      runs.arguments(Self.options + ["--max-steps", "\(steps)", "--save-interval", "0", data], out: out)
    }
    let whole = try RunResult(LongzooProcess.run(arguments(60, "whole"), in: runs.folder).output)
    _ = try LongzooProcess.run(arguments(30, "run"), in: runs.folder)
    let sound = runs.folder.bytes("run/replay.log")
    // Torn records of later steps do not trouble a resume.
    for tail in [
      [UInt8](repeating: 7, count: 5), Array(sound[(sound.count - 60)...]), [200, 0, 0, 0, 1, 2, 3, 4, 5, 6],
    ] {
      _ = runs.folder.put("run/replay.log", sound + tail)
      #expect(try replay(runs, "run", step: 30).digest == replay(runs, "whole", step: 30).digest)
      try LongzooProcess.run(["replay", "run", "--step", "31"], in: runs.folder)
        .expectFailure(65, mentions: ["step 30"], "beyond the end")
    }
    let resumed = try runs.resume("run", "--max-steps", "60")
    #expect(resumed.digest == whole.digest)
    #expect(try replay(runs, "run", step: 60).digest == whole.digest)
    // A damaged one ends the log before the step that it is of.
    var bytes = runs.folder.bytes("run/replay.log")
    bytes[bytes.count / 2] ^= 1
    _ = runs.folder.put("run/replay.log", bytes)
    try LongzooProcess.run(["replay", "run", "--step", "60"], in: runs.folder)
      .expectFailure(65, mentions: ["ends at step"], "damaged")
    try LongzooProcess.run(["train", "--resume", "run", "--max-steps", "70"], in: runs.folder)
      .expectFailure(65, mentions: ["replay.log"], "a log with a gap")
  }

  @Test func whatCannotBeReplayedIsRefused() throws {
    let runs = Runs("--max-steps", "10")
    let data = runs.folder.put("data", Self.tokens)
    try runs.fail(64, ["--replay-log", data], mentions: ["--readout zo"])
    try runs.fail(64, ["--replay-log", "--estimator", "tbptt", data].filter { $0 != "" }, mentions: ["--"])
    let trained = try LongzooProcess.run(runs.arguments(Self.options + [data], out: "run"), in: runs.folder)
    #expect(trained.exitCode == 0)
    for option in ["--momentum", "--weight-decay"] {
      try LongzooProcess.run(
        ["train", "--resume", "run", "--max-steps", "20", option, "0.3"], in: runs.folder
      )
      .expectFailure(64, mentions: [option], option)
    }
    try LongzooProcess.run(["replay", "run", "--step", "11"], in: runs.folder)
      .expectFailure(65, mentions: ["step 10"], "beyond the end")
    try runs.train(data, out: "plain")
    try LongzooProcess.run(["replay", "plain", "--step", "1"], in: runs.folder)
      .expectFailure(66, mentions: ["--replay-log"], "no log")
    try LongzooProcess.run(
      ["replay", runs.folder.put("text", Array("hello".utf8)), "--step", "1"], in: runs.folder
    )
    .expectFailure(65, mentions: ["no replay log"], "no log")
    try LongzooProcess.run(["replay", "run", "--step", "5", "--from", "plain"], in: runs.folder)
      .expectFailure(64, mentions: ["--readout"], "another run's checkpoint")
  }

  @Test func modelsAreWritten() throws {
    let runs = Runs("--max-steps", "20")
    let data = runs.folder.put("data", Self.tokens)
    _ = try LongzooProcess.run(runs.arguments(Self.options + [data], out: "run"), in: runs.folder)
    #expect(try replay(runs, "run", step: 20, "-o", "again.safetensors")["out"] == "again.safetensors")
    #expect(
      FileImage(bytes: runs.folder.bytes("again.safetensors"))
        == FileImage(bytes: runs.folder.bytes("run/model.safetensors")))
  }
}
