import Foundation
import LongzooModel
import Testing

@testable import LongzooTraining
@testable import longzoo

/// Models of blocks, and such with an embedding, through the whole program.
@Suite struct BlockRunTests {
  private static let tokens = Sample.tokens(4000)
  private static let blocks = ["--cell", "mingru", "--layers", "2"]

  @Test(arguments: [
    blocks, blocks + ["--readout", "zo", "--embedding-size", "5"], blocks + ["--estimator", "jvp"],
    blocks + ["--estimator", "fd-rge", "--perturbation", "rademacher"],
    blocks + ["--estimator", "hybrid", "--embedding-size", "5"],
    blocks + ["--estimator", "tbptt", "--window", "7"],
    ["--estimator", "tbptt", "--layers", "2", "--heads", "2", "--embedding-size", "5"],
    blocks + ["--regime", "inplace", "--lr", "0.01", "--embedding-size", "5"],
    ["--cell", "gru", "--heads", "2", "--layers", "2", "--embedding-size", "5"],
    ["--cell", "lstm", "--block", "residual", "--heads", "2", "--rank", "2"],
  ])
  func aRunInPiecesIsTheRunAtOnce(options: [String]) throws {
    var runs = Runs("--val", "data")
    if options.contains("tbptt") { runs.common.removeSubrange(2..<4) }  // --pairs
    runs.folder.put("data", Self.tokens)
    func begin(_ steps: Int, _ out: String) throws -> RunResult {
      try runs.train(
        arguments: options + ["--max-steps", "\(steps)", "--out-dir", runs.folder(out), "data"])
    }
    let whole = try begin(30, "whole")
    _ = try begin(11, "half")
    expectSame(try runs.resume("half", "--max-steps", "30"), whole)
    // What was written is what was measured.
    let eval = try LongzooProcess.run(["eval", "--json", "whole", "data"], in: runs.folder)
    try #require(eval.exitCode == 0, "\(eval.errors)")
    let (loss, expected): (Double, Double) = (
      try #require(try RunResult(eval.output)["loss_nats"]), try #require(whole["val_loss_nats"])
    )
    #expect(abs(loss - expected) < 1e-5)
    let again = try LongzooProcess.run(
      ["train", "--json", "--quiet", "--config", "whole/config.yaml", "--out-dir", "again"], in: runs.folder)
    try #require(again.exitCode == 0, "\(again.errors)")
    #expect(try RunResult(again.output).digest == whole.digest)
  }

  /// A stage has heads of its own: what is summed for one of its tensors must not touch those of the next.
  @Test(arguments: [["--block", "residual"], ["--layers", "2", "--embedding-size", "5"]])
  func threadsShareAnEstimate(options: [String]) throws {
    let runs = Runs("--heads", "2", "--max-steps", "20")
    runs.folder.put("data", Self.tokens)
    let digests = try ["1", "2", "4"].map {
      try runs.train(arguments: options + ["--threads", $0, "data"]).digest
    }
    #expect(Set(digests).count == 1)
  }

  @Test func blocksLearn() throws {
    let runs = Runs("--hidden-size", "24", "--pairs", "64", "--streams", "16")
    // Every id follows from the one before.
    let data = runs.folder.put("data", (0..<20_000).map { UInt8($0 * 7 % 64) })
    for (options, most) in [([], 3.9), (["--embedding-size", "12"], 3.9), (["--estimator", "hybrid"], 0.5)] {
      let run = try runs.train(arguments: Self.blocks + options + ["--max-steps", "150", data])
      let loss: Double = try #require(run["train_loss_nats"])
      #expect(loss < most, "\(options); a guess is ln 64 = 4.16")
    }
  }

  @Test func weightsGoIntoTheirOwnKind() throws {
    let runs = Runs("--max-steps", "5")
    runs.folder.put("data", Self.tokens)
    let run = try runs.train(arguments: Self.blocks + ["--out-dir", runs.folder("run"), "data"])
    let taken = try runs.train(
      arguments: Self.blocks + ["--init", "run", "--lr", "0", "--max-steps", "1", "data"])
    #expect(taken.digest == run.digest)
    for (options, mention) in [
      (Self.blocks + ["--block", "plain"], "give --block residual, not plain"),
      (Self.blocks + ["--embedding-size", "5"], "give --embedding-size 8, not 5"),
      (["--cell", "mingru", "--block", "residual"], "give --layers 2, not 1"),
      (["--layers", "2"], "give --cell mingru, not lstm"),
    ] {
      try runs.fail(65, options + ["--init", "run", "data"], mentions: ["run/model.safetensors", mention])
    }
    for options in [["--block", "plain"], ["--embedding-size", "9"]] {
      let outcome = try LongzooProcess.run(["train", "--resume", "run"] + options, in: runs.folder)
      outcome.expectFailure(64, mentions: [options[0]], "\(options)")
    }
  }

  @Test func whatMeansNothingIsRefused() throws {
    let runs = Runs("--max-steps", "5")
    runs.folder.put("data", Self.tokens)
    for (options, mentions) in [
      (["--cell", "mingru", "--heads", "2"], ["--heads", "--cell mingru"]),
      (["--block", "residual", "--embedding-size", "0"], ["--embedding-size 0"]),
      (["--embedding-size", "20M"], ["--embedding-size 20000000"]),
      (["--estimator", "node", "--block", "residual"], ["--block residual"]),
      (["--estimator", "node", "--embedding-size", "4"], ["--embedding-size 4"]),
      (["--block", "dense"], ["--block", "residual"]),
    ] {
      try runs.fail(64, options + ["data"], mentions: mentions)
    }
  }

  @Test func aRunSaysWhatItsModelIs() {
    func text(_ change: (inout ModelPlan) -> Void) -> String {
      var plan = RunPlan()
      change(&plan.model)
      plan.model.settle()
      return Announcement.model(plan)
    }
    #expect(
      text { ($0.cell, $0.hiddenSize, $0.layers) = (.mingru, 128, 3) }
        .contains("mingru of 128 units, 3 residual blocks, embedding of 128, "))
    #expect(text { $0.embeddingSize = 32 }.contains("lstm of 64 units, embedding of 32, vocabulary"))
    #expect(text { $0.layers = 2 }.contains("lstm of 64 units, 2 layers, vocabulary"))
  }
}
