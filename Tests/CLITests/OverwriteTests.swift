import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// A run that is there is gone on with, overwritten on demand, or left alone.
@Suite struct OverwriteTests {
  private func runs(_ more: String...) -> Runs {
    var runs = Runs("--max-steps", "12")
    runs.common += more
    runs.folder.put("data", Sample.tokens(3000))
    return runs
  }

  private func withoutOverwrite(_ runs: Runs, _ out: String, _ more: [String]) throws
    -> LongzooProcess.Outcome
  {
    let arguments = runs.arguments(more + ["data"], out: out).filter { $0 != "--overwrite" }
    return try LongzooProcess.run(arguments, in: runs.folder)
  }

  @Test func aRunIsNotOverwrittenInSilence() throws {
    let runs = runs("--log-interval", "1")
    try runs.train("data", out: "run")
    let files = [
      "checkpoint.safetensors", "model.safetensors", "metrics.jsonl", "config.json", "summary.json",
    ]
    let before = files.map { FileImage(bytes: runs.folder.bytes("run/" + $0)) }
    let refused = try withoutOverwrite(runs, "run", ["--seed", "2"])
    refused.expectFailure(64, mentions: ["--resume run", "--overwrite", "--out-dir"], "a second run")
    #expect(files.map { FileImage(bytes: runs.folder.bytes("run/" + $0)) } == before)

    let fresh = try runs.train("data", "--seed", "2", out: "fresh")
    let second = try runs.train("data", "--seed", "2", "--save-interval", "never", out: "run")
    #expect(second["train_loss_nats"] as Double? == fresh["train_loss_nats"])
    #expect(runs.checkpoint("run").isEmpty && runs.folder.bytes("run/model.safetensors").isEmpty)
    // Its metrics and its summary are all that is left of it.
    try withoutOverwrite(runs, "run", []).expectFailure(
      64, mentions: ["--overwrite"], "a run without weights")
  }

  @Test func aResumeIntoAnotherRunIsRefusedToo() throws {
    let runs = runs()
    try runs.train("data", out: "run")
    let other = try runs.train("data", "--seed", "2", out: "other")
    let resume = ["train", "--quiet", "--json", "--resume", "run", "--max-steps", "20"]
    func go(_ more: String...) throws -> LongzooProcess.Outcome {
      try LongzooProcess.run(resume + more, in: runs.folder)
    }
    try go("--out-dir", "other").expectFailure(64, mentions: ["--resume other"], "over another run")
    try go("--overwrite").expectFailure(64, mentions: ["--overwrite"], "over itself")
    #expect(try RunResult(runs.folder.text("other/summary.json")).digest == other.digest)
    let whole = try runs.train("data", "--max-steps", "20", out: "whole")
    expectSame(try RunResult(go("--out-dir", "other", "--overwrite").output), whole)
    expectSame(try RunResult(go("--out-dir", "./run/").output), whole)
  }

  /// The weights to begin from may be those that are overwritten.
  @Test func aRunMayBeginFromTheOneThatItOverwrites() throws {
    let runs = runs()
    try runs.train("data", out: "run")
    let expected = try runs.train("data", "--init", "run", out: "other")
    #expect(try runs.train("data", "--init", "run", out: "run").digest == expected.digest)
  }

  @Test func whatIsWorthKeeping() {
    let folder = TestFolder()
    #expect(!RunFolder.holdsRun(folder.path) && !RunFolder.holdsRun(folder("none")))
    for name in [".lock", "config.json", "notes.txt"] { folder.put(name, [1]) }
    folder.put("metrics.jsonl", [])
    #expect(!RunFolder.holdsRun(folder.path))
    for name in ["checkpoint.safetensors", "model.previous.safetensors", "summary.json", "metrics.jsonl"] {
      folder.put(name, [1])
      #expect(RunFolder.holdsRun(folder.path) && RunFolder.holdsRun(folder.path + "/"), "\(name)")
      unlink(folder(name))
    }
    symlink("nowhere", folder("checkpoint.safetensors"))
    #expect(RunFolder.holdsRun(folder.path))
  }
}
