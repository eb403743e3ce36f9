import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// A run whose losses leave all bounds ends itself, and what it leaves are weights from before.
@Suite struct TrainDivergenceTests {
  private func run(_ runs: Runs, _ arguments: [String]) throws -> (result: RunResult, errors: String) {
    let outcome = try LongzooProcess.run(arguments, in: runs.folder)
    #expect(outcome.exitCode == 1, "\(outcome.errors)")
    return (try RunResult(outcome.output), outcome.errors)
  }

  private func names(_ folder: TestFolder) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: folder("run"))) ?? []
  }

  private static let huge = ["--lr", "1e6", "--optimizer", "sgd", "--readout", "exact"]

  @Test(arguments: [
    huge, ["--lr", "300"], huge + ["--save-interval", "1"], huge + ["--save-interval", "7"],
    ["--estimator", "tbptt", "--lr", "1000", "--optimizer", "sgd", "--clip-norm", "0"],
  ])
  func hugeRatesStopThemselves(options: [String]) throws {
    var runs = Runs("--max-steps", "400", "--window", "8")
    if options.contains("tbptt") { runs.common.removeAll { ["--pairs", "16"].contains($0) } }
    let data = runs.folder.put("data", Sample.tokens(4000))
    let (result, errors) = try run(runs, runs.arguments(options + [data], out: "run"))
    #expect(result["stopped_by"] == "diverged")
    let end: Int = try #require(result["diverged_at_step"])
    #expect(end < 400 && result.steps < end)
    for text in ["diverged", "--lr", "step \(result.steps) "] { #expect(errors.contains(text), "\(errors)") }
    // What is on disk is what the summary tells of, sound, and nothing else is left.
    let names = names(runs.folder)
    #expect(!names.contains { $0.contains("previous") }, "\(names)")
    let checkpoint = try SafetensorsReader(path: runs.folder("run/checkpoint.safetensors"))
    let state = try Checkpoint.state(of: checkpoint)
    #expect(state.progress.step == result.steps && !state.progress.watch.isInDoubt)
    let eval = try LongzooProcess.run(
      ["eval", "run", data, "--json"], in: runs.folder)
    let loss: Double = try #require(try RunResult(eval.output)["loss_nats"])
    #expect(loss < 5.2, "the model that was left says \(loss)")
    // With a rate that suits, it goes on from there.
    #expect(
      try runs.resume("run", "--lr", "0.001", "--max-steps", "\(result.steps + 60)").steps == result.steps
        + 60)
  }

  @Test func theLastGoodWeightsAreKeptAcrossAResume() throws {
    let runs = Runs("--max-steps", "120", "--save-interval", "10")
    let data = runs.folder.put("data", Sample.tokens(4000))
    try runs.train(data, out: "run")
    let good = runs.folder.bytes("run/model.safetensors")
    let (result, _) = try run(
      runs, ["train", "--json", "--quiet", "--resume", "run", "--lr", "500", "--max-steps", "400"])
    // Step 120 may still have been on trial: then it was one of the ten before.
    #expect(result.steps <= 120 && result.steps >= 90)
    if result.steps == 120 { #expect(runs.folder.bytes("run/model.safetensors") == good) }
    #expect(try runs.resume("run", "--lr", "0.01", "--max-steps", "150").steps == 150)
  }

  @Test func elsewhereTheOriginIsTheLastGoodOne() throws {
    let runs = Runs("--max-steps", "40", "--save-interval", "0")
    let data = runs.folder.put("data", Sample.tokens(4000))
    let first = try runs.train(data, out: "run")
    let (result, errors) = try run(
      runs,
      [
        "train", "--json", "--quiet", "--resume", "run", "--out-dir", "other", "--lr", "500", "--max-steps",
        "400",
      ])
    #expect(result.steps == 40 && result.digest == first.digest)
    #expect(errors.contains("run/checkpoint.safetensors"))
  }

  @Test func withoutCheckpointsThereIsNothingToKeep() throws {
    let runs = Runs("--max-steps", "400", "--save-interval", "never")
    let data = runs.folder.put("data", Sample.tokens(4000))
    let (result, errors) = try run(runs, runs.arguments(Self.huge + [data], out: "run"))
    #expect(result["stopped_by"] == "diverged" && result["val_loss_nats"] == Double?.none)
    #expect(errors.contains("no good weights"))
  }

  @Test func theBoundIsAnOption() throws {
    let runs = Runs("--max-steps", "90")
    let data = runs.folder.put("data", Sample.tokens(4000))
    // Nothing is above no bound; but updates that are refused for ever are no run.
    #expect(try runs.train("--lr", "30", "--stop-above", "0", data).steps == 90)
    try runs.fail(64, ["--stop-above", "-1", data], mentions: ["--stop-above"])
  }

  // MARK: The watch itself

  private func watch(_ losses: [Double?], limit: Double? = 5) -> DivergenceWatch {
    var watch = DivergenceWatch()
    for loss in losses { watch.add(loss: loss, limit: limit) }
    return watch
  }

  @Test func whatIsDivergence() {
    let good = Array(repeating: Double?(2), count: 100)
    #expect(!watch(good).isDiverged && !watch(good).isInDoubt)
    // A shock that passes.
    #expect(!watch(good + Array(repeating: 9, count: 30) + good).isDiverged)
    #expect(watch(good + Array(repeating: 9, count: 30)).isInDoubt)
    #expect(watch(good + Array(repeating: 9, count: 30)).endsDiverged)
    #expect(!watch(good + Array(repeating: 9, count: 30) + good).isInDoubt)
    #expect(watch(good + Array(repeating: 9, count: 70)).isDiverged)
    #expect(!watch(good + Array(repeating: 9, count: 70), limit: nil).isDiverged)
    // Worse, but not worse than guessing.
    #expect(!watch(good + Array(repeating: 4, count: 300)).isDiverged)
    // From far above, downwards.
    #expect(!watch((0..<400).map { 12 - Double($0) / 50 }).isDiverged)
    #expect(!watch(good + Array(repeating: nil, count: 49)).isDiverged)
    #expect(watch(good + [nil]).isInDoubt)
    #expect(watch(good + Array(repeating: nil, count: 50)).isDiverged)
    #expect(watch(good + Array(repeating: nil, count: 50), limit: nil).isDiverged)
  }

  // MARK: The files

  @Test func goodFilesOutliveBadOnes() throws {
    let folder = TestFolder()
    let run = try RunFolder(path: folder("run"))
    func put(_ text: String) -> () throws -> Void {
      {
        for path in [run.checkpointPath, run.modelPath] {
          try AtomicFile.write(to: path) { try $0.write(text) }
        }
      }
    }
    func texts() -> [String] {
      ["run/checkpoint.safetensors", "run/model.safetensors"].map { folder.text($0) }
    }
    let keeper = CheckpointKeeper(run, resumed: nil)
    try keeper.save(step: 0, put("zero"))
    #expect(try keeper.restore() && texts() == ["zero", "zero"])
    try keeper.save(step: 5, put("five"))
    keeper.look(step: 25, isInDoubt: true)
    try keeper.save(step: 26, put("bad"))
    #expect(try keeper.restore() && texts() == ["zero", "zero"])
    try keeper.save(step: 30, put("thirty"))
    keeper.look(step: 49, isInDoubt: false)
    keeper.look(step: 50, isInDoubt: false)
    #expect(!names(folder).contains { $0.contains("previous") })
    try keeper.save(step: 60, put("bad"))
    // A new process finds both.
    let next = CheckpointKeeper(run, resumed: 60)
    #expect(try next.restore() && texts() == ["thirty", "thirty"])
    // Another run's files are put back, and are no weights of this one.
    let other = CheckpointKeeper(run, resumed: nil)
    try other.save(step: 10, put("bad"))
    #expect(try !other.restore() && texts() == ["thirty", "thirty"])
  }
}
