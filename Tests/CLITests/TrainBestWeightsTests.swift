import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// The model that a run hands out is the one that did best on held-out tokens.
@Suite struct TrainBestWeightsTests {
  /// Noise: what is learned of it is by heart, and helps nowhere else.
  private static let noise = Sample.tokens(900, seed: 5).enumerated().map { index, byte in
    UInt8((UInt64(byte) &* 31 &+ UInt64(index) &* 2_654_435_761 >> 7) & 63)
  }
  private let runs = Self.exactRuns()

  private static func exactRuns() -> Runs {
    var runs = Runs()
    runs.common = [
      "--hidden-size", "8", "--vocab-size", "64", "--threads", "1", "--val-fraction", "0.4", "--estimator",
      "tbptt", "--optimizer", "adam", "--lr", "0.03", "--lr-schedule", "constant", "--window", "16",
      "--streams",
      "4", "--context", "64", "--weight-decay", "0",
    ]
    return runs
  }

  private func data() -> String { runs.folder.put("noise", Self.noise) }

  @Test func theBestIsKeptAndTheLastGoesOn() throws {
    let data = data()
    let whole = try runs.train("--max-steps", "300", "--eval-interval", "20", data, out: "whole")
    let (best, last): (Int, Double) = (
      try #require(whole["val_step"]), try #require(whole["val_last_loss_nats"])
    )
    let loss: Double = try #require(whole["val_loss_nats"])
    #expect(best < 300 && best % 20 == 0 && loss < last - 0.05, "best \(best): \(loss), last \(last)")
    #expect(whole["evaluations"] == 15)
    // Those of the best step are what a run has that ends there.
    let short = try runs.train("--max-steps", "\(best)", "--eval-interval", "0", data, out: "short")
    #expect(short.digest == whole.digest)
    #expect(abs((try #require(short["val_loss_nats"] as Double?)) - loss) < 1e-12)
    // Interruptions change nothing, nor does another folder.
    try runs.train("--max-steps", "\(best + 30)", "--eval-interval", "20", data, out: "parts")
    let parts = try runs.resume("parts", "--max-steps", "300")
    #expect(parts.digest == whole.digest && parts["val_step"] == best)
    let other = try runs.resume("parts", "--max-steps", "310", "--out-dir", runs.folder("other"))
    #expect(other.digest == whole.digest && other["val_step"] == best)
    // Only the end is measured, and the last weights are kept.
    let end = try runs.train("--max-steps", "300", "--eval-interval", "0", data, out: "end")
    #expect(end.digest != whole.digest && end["val_step"] == 300)
    #expect(abs((try #require(end["val_loss_nats"] as Double?)) - last) < 1e-12)
  }

  @Test func patienceEndsTheRun() throws {
    let run = try runs.train("--max-steps", "3000", "--eval-interval", "20", "--patience", "3", data())
    #expect(run["stopped_by"] == "patience")
    let best: Int = try #require(run["val_step"])
    #expect(run.steps == best + 60)
  }

  /// A model that is gone, or of another run, is not taken for the best.
  @Test func aModelThatIsGoneIsNotTheBest() throws {
    let data = data()
    let run = try runs.train("--max-steps", "300", "--eval-interval", "20", data, out: "run")
    let best: Int = try #require(run["val_step"])
    try #require(best < 300)
    unlink(runs.folder("run/model.safetensors"))
    let resumed = try runs.resume("run", "--max-steps", "320")
    #expect(resumed["val_step"] == 320)
  }

  @Test func heldOutTokensAreBounded() throws {
    let data = runs.folder.put("data", Sample.tokens(30_000))
    let run = try runs.train("--max-steps", "40", "--eval-tokens", "100", data)
    #expect(run["val_targets"] == 100)
    let all = try runs.train("--max-steps", "40", data)
    #expect(all["val_targets"] == 11_999)
  }
}
