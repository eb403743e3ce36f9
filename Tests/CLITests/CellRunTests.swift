import Foundation
import LongzooModel
import Testing

/// Every cell through the whole program.
@Suite struct CellRunTests {
  private static let tokens = Sample.tokens(4000)
  /// Element-wise cells have no heads, and what is a whole model neither heads nor layers.
  private static let kinds: [(Cell, [String])] = Cell.all.flatMap { cell in
    let layers = layers(cell)
    let inPlace = ["--regime", "inplace", "--lr", "0.01"] + layers
    return [
      (cell, ["--readout", "zo"] + layers),
      (cell, ["--estimator", "hybrid"]),
      (cell, inPlace + (cell.isElementwise || cell.isWholeModel ? [] : ["--heads", "2"])),
    ]
  }

  private static func layers(_ cell: Cell) -> [String] {
    cell.isWholeModel ? ["--memory-slots", "5", "--read-heads", "4"] : ["--layers", "2"]
  }

  @Test("A run in pieces is the run at once, and config.yaml repeats it", arguments: kinds)
  func pieces(_ cell: Cell, _ options: [String]) throws {
    let runs = Runs("--cell", cell.name)
    let data = runs.folder.put("data", Self.tokens)
    func begin(_ steps: Int, _ out: String) throws -> RunResult {
      try runs.train(arguments: options + ["--max-steps", "\(steps)", data], out: out)
    }
    let whole = try begin(30, "whole")
    #expect(whole["cell"] == cell.name)
    _ = try begin(11, "half")
    let rest = try runs.resume("half", "--max-steps", "30")
    #expect(rest.digest == whole.digest)
    let again = try LongzooProcess.run(
      ["train", "--json", "--quiet", "--config", "whole/config.yaml", "--out-dir", "again"], in: runs.folder)
    try #require(again.exitCode == 0, "\(again.errors)")
    #expect(try RunResult(again.output).digest == whole.digest)
  }

  @Test("The file says which cell; weights do not go into another", arguments: Cell.all)
  func weights(_ cell: Cell) throws {
    var runs = Runs("--cell", cell.name, "--hidden-size", "20")
    runs.common += Self.layers(cell)
    let data = runs.folder.put("data", Self.tokens)
    let run = try runs.train("--max-steps", "20", "--val", data, data, out: "run")
    let eval = try LongzooProcess.run(["eval", "--json", "run", data], in: runs.folder)
    try #require(eval.exitCode == 0, "\(eval.errors)")
    let (loss, expected): (Double, Double) = (
      try #require(try RunResult(eval.output)["loss_nats"]), try #require(run["val_loss_nats"])
    )
    #expect(abs(loss - expected) < 1e-6)
    for regime in ["shared", "inplace"] {
      let taken = try runs.train(
        "--init", "run/model.safetensors", "--regime", regime, "--lr", "0", "--max-steps", "1", data,
        out: regime)
      // The first layer's bias lies in the token table in place, and its sums have been rounded.
      if regime == "shared" { #expect(taken.digest == run.digest) }
      let again = try LongzooProcess.run(["eval", "--json", regime, data], in: runs.folder)
      let found: Double = try #require(try RunResult(again.output)["loss_nats"])
      #expect(abs(found - expected) < 1e-5, "\(regime)")
    }
    let other = try #require(Cell.all.first { $0 != cell })
    runs.common.removeLast(Self.layers(cell).count)
    try runs.fail(
      65, ["--cell", other.name, "--init", "run/model.safetensors", data], mentions: ["--cell \(cell.name)"])
  }

  @Test("Every cell learns by its defaults, from pairs and exactly", arguments: Cell.all)
  func learns(_ cell: Cell) throws {
    let runs = Runs("--cell", cell.name, "--hidden-size", "24", "--pairs", "64", "--streams", "16")
    // Every id follows from the one before.
    let data = runs.folder.put("data", (0..<20_000).map { UInt8($0 * 7 % 64) })
    for (estimator, most) in [("cd-rge", 3.9), ("hybrid", 0.5)] {
      // A memory is learnt to be of use later.
      let steps = cell.isWholeModel && estimator == "cd-rge" ? "600" : "150"
      let run = try runs.train(arguments: ["--estimator", estimator, "--max-steps", steps, data])
      let loss: Double = try #require(run["train_loss_nats"])
      #expect(loss < most, "\(estimator); a guess is ln 64 = 4.16")
    }
  }

  @Test func whatACellDoesNotKnowIsRefused() throws {
    let runs = Runs()
    let data = runs.folder.put("data", Self.tokens)
    try runs.fail(64, ["--cell", "rnn", data], mentions: ["--cell", "gru"])
    try runs.fail(64, ["--cell", "gru", "--estimator", "node", data], mentions: ["--cell gru"])
    for cell in Cell.all where cell.memory == nil {
      try runs.fail(
        64, ["--cell", cell.name, "--memory-span", "100", data],
        mentions: ["--memory-span", "--cell \(cell)"])
    }
    // A resume has its cell.
    _ = try runs.train("--cell", "gru", "--max-steps", "3", data, out: "run")
    let outcome = try LongzooProcess.run(
      ["train", "--resume", "run", "--cell", "lstm", "--max-steps", "5"], in: runs.folder)
    #expect(outcome.exitCode == 64 && outcome.errors.contains("--cell"), "\(outcome.errors)")
  }
}
