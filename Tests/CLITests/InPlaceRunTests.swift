import Foundation
import Testing

/// `--regime inplace` through the whole program.
@Suite struct InPlaceRunTests {
  private static let tokens = Sample.tokens(4000)

  private func options(_ more: String...) -> [String] {
    ["--regime", "inplace", "--heads", "2", "--layers", "2", "--lr", "0.1"] + more
  }

  @Test(arguments: [
    ["--window", "7"], ["--lifetime", "3", "--streams", "5"],
    ["--window", "context", "--context", "12", "--step", "polyak"],
    ["--weight-decay", "0.01", "--context", "40"],
  ])
  func aRunInPiecesIsTheRunAtOnce(more: [String]) throws {
    let runs = Runs()
    let data = runs.folder.put("data", Self.tokens)
    func begin(_ steps: Int, _ out: String) throws -> RunResult {
      try runs.train(arguments: options() + more + ["--max-steps", "\(steps)", data], out: out)
    }
    let whole = try begin(60, "whole")
    #expect(whole["regime"] == "inplace")
    _ = try begin(23, "half")
    #expect(try runs.resume("half", "--max-steps", "60", "--threads", "2").digest == whole.digest)
  }

  @Test func filesGoFromOneRegimeToTheOther() throws {
    let runs = Runs("--max-steps", "30", "--hidden-size", "18", "--heads", "3", "--layers", "2")
    let data = runs.folder.put("data", Self.tokens)
    let held = ["--val", data, data]
    func train(_ more: String..., out: String) throws -> RunResult {
      try runs.train(arguments: more + held, out: out)
    }
    func loss(_ run: RunResult) throws -> Double { try #require(run["val_loss_nats"]) }
    let shared = try train("--regime", "shared", out: "shared")
    let file = "shared/model.safetensors"
    let still = ["--lr", "0", "--max-steps", "1"]
    let taken = try train(
      still[0], still[1], still[2], still[3], "--regime", "inplace", "--init", file, out: "taken")
    #expect(abs(try loss(taken) - loss(shared)) < 1e-5)
    let back = try train(
      still[0], still[1], still[2], still[3], "--regime", "shared", "--init", "taken/model.safetensors",
      out: "back")
    #expect(abs(try loss(back) - loss(taken)) < 1e-5)
    let eval = try LongzooProcess.run(["eval", "--json", "taken", data], in: runs.folder)
    #expect(abs(try #require(try RunResult(eval.output)["loss_nats"] as Double?) - loss(taken)) < 1e-6)
    // Read and written again without an update it is the same file.
    let again = try train(
      still[0], still[1], still[2], still[3], "--regime", "inplace", "--init", "taken/model.safetensors",
      out: "again")
    #expect(again.digest == taken.digest)
  }

  @Test func aSampleIsLearnedByHeart() throws {
    let runs = Runs(
      "--hidden-size", "240", "--heads", "12", "--pairs", "96", "--regime", "inplace", "--token-scale", "1.7",
      "--step", "polyak", "--eps", "0.01", "--window", "context", "--context", "10", "--max-steps", "12",
      "--save-interval", "never", isProcess: true)
    let word: [UInt8] = [3, 1, 4, 1, 5, 9, 2, 6, 0, 7]
    let data = runs.folder.put("data", word + word + word)
    let held = runs.folder.put("held", word + word[..<1])
    let run = try runs.train("--val", held, data, out: "run")
    #expect(try #require(run["val_loss_nats"] as Double?) < 0.1)
    #expect(run.values["parameters_digest"] is NSNull)
    #expect(!FileManager.default.fileExists(atPath: runs.folder.path + "/run/model.safetensors"))
    #expect(!FileManager.default.fileExists(atPath: runs.folder.path + "/run/checkpoint.safetensors"))
  }

  @Test func whatDoesNotFitIsRefusedWithTheReason() throws {
    let runs = Runs(isProcess: true)
    let data = runs.folder.put("data", Self.tokens)
    for (more, mention) in [
      (["--optimizer", "adam"], "adam's moments"), (["--optimizer", "muon"], "muon's moments"),
      (["--momentum", "0.9"], "momentum"),
      (["--beta2", "0.9"], "beta2"), (["--table-rate", "5"], "one rate"),
      (["--perturbation", "rademacher"], "rank1"), (["--rank", "2"], "--rank"),
      (["--perturbation", "gaussian"], "rank1"),
      (["--readout", "exact"], "--readout zo"),
    ] {
      try runs.fail(64, ["--regime", "inplace"] + more + [data], mentions: [mention])
    }
    try runs.fail(64, ["--step", "polyak", data], mentions: ["--optimizer sgd"])
    try runs.fail(64, ["--step", "polyak", "--optimizer", "sgd", data], mentions: ["--readout zo"])
    try runs.fail(64, ["--token-scale", "-1", data], mentions: ["--token-scale"])
    try runs.train("--regime", "inplace", "--max-steps", "2", data, out: "run")
    for more in [["--regime", "shared"], ["--momentum", "0.5"], ["--token-scale", "2"]] {
      let outcome = try LongzooProcess.run(
        ["train", "--quiet", "--resume", "run"] + more, in: runs.folder)
      outcome.expectFailure(64, mentions: [more[0]], "\(more)")
    }
  }

  @Test func autoIsInPlaceWhereSharedDoesNotFit() throws {
    let runs = Runs("--hidden-size", "512", "--max-steps", "1", "--save-interval", "never", isProcess: true)
    let data = runs.folder.put("data", Self.tokens)
    let shared = try runs.train(data)
    #expect(shared["regime"] == "shared")
    let run = try runs.train("--memory-budget", "20MiB", data)
    #expect(run["regime"] == "inplace")
    #expect(run.memory["peak_total"]! <= 20 << 20)
    // What contradicts it keeps the run from going there.
    try runs.fail(64, ["--memory-budget", "20MiB", "--optimizer", "adam", data], mentions: ["memory budget"])
  }

  /// 64 MB of weights: the ledger has them once, and the process no more than a quarter beside them and itself.
  @Test func weightsExistOnce() throws {
    let runs = Runs(
      "--regime", "inplace", "--window", "context", "--context", "10", "--max-steps", "2", "--save-interval",
      "never", "--threads", "2", isProcess: true)
    let data = runs.folder.put("data", Self.tokens)
    let base = try runs.train("--hidden-size", "3", data).peakResident
    let run = try runs.train("--hidden-size", "12096", "--heads", "48", "--pairs", "32", data)
    let weights = 4 * (try #require(run["parameters"] as Int?))
    #expect(weights > 64_000_000)
    #expect(run.memory["parameters"]! >= weights - 4 * 4 * 12096)
    #expect(run.memory["parameters"]! < weights * 103 / 100)
    #expect(run.memory["optimizer"] == 0)
    #expect(run.peakResident <= base + weights * 5 / 4, "\(run.peakResident) for \(weights) beside \(base)")
    #expect(run.peakResident <= base + run.memory["peak_total"]! + (2 << 20))
  }
}
