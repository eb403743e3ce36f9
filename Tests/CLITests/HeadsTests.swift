import Foundation
import Testing

/// Block-diagonal models through the whole program.
@Suite struct HeadsTests {
  private static let tokens = Sample.tokens(4000)

  @Test(arguments: [
    ["--readout", "zo"], ["--layers", "2"], ["--perturbation", "rademacher", "--layers", "2"],
    ["--rank", "2", "--layers", "2", "--readout", "zo"],
    ["--perturbation", "gaussian", "--layers", "2", "--readout", "zo"],
    ["--estimator", "tbptt", "--layers", "2", "--window", "7"],
  ])
  func aRunInPiecesIsTheRunAtOnce(options: [String]) throws {
    var runs = Runs("--heads", "4", "--hidden-size", "20")
    if options.contains("tbptt") { runs.common.removeSubrange(2..<4) }  // --pairs
    let data = runs.folder.put("data", Self.tokens)
    func begin(_ steps: Int, _ out: String) throws -> RunResult {
      try runs.train(arguments: options + ["--max-steps", "\(steps)", data], out: out)
    }
    let whole = try begin(60, "whole")
    _ = try begin(23, "half")
    let rest = try runs.resume("half", "--max-steps", "60")
    #expect(rest.digest == whole.digest)
    #expect(whole.values["train_loss_nats"] as? Double == rest.values["train_loss_nats"] as? Double)
  }

  @Test func theFileSaysHowManyHeads() throws {
    let runs = Runs("--heads", "4", "--hidden-size", "20", "--layers", "2")
    let data = runs.folder.put("data", Self.tokens)
    let run = try runs.train("--max-steps", "40", "--val", data, data, out: "run")
    // V·4H + 4H·(D + 1) + 4H·(H + D + 1) + V·H + V
    #expect(run["parameters"] == 64 * 80 + 80 * 6 + 80 * 26 + 64 * 20 + 64)
    let eval = try LongzooProcess.run(["eval", "--json", "run", data], in: runs.folder)
    try #require(eval.exitCode == 0, "\(eval.errors)")
    let (loss, expected): (Double, Double) = (
      try #require(try RunResult(eval.output)["loss_nats"]), try #require(run["val_loss_nats"])
    )
    #expect(abs(loss - expected) < 1e-6)
    // The same weights again, without an update; and into a model of other heads they do not go.
    let taken = try runs.train(
      "--init", "run/model.safetensors", "--lr", "0", "--max-steps", "1", data, out: "taken")
    #expect(taken.digest == run.digest)
    try runs.fail(65, ["--heads", "2", "--init", "run/model.safetensors", data], mentions: ["--heads 4"])
    try runs.fail(64, ["--heads", "3", data], mentions: ["--heads 3", "20"])
    try runs.fail(64, ["--heads", "0", data], mentions: ["--heads 0"])
  }
}
