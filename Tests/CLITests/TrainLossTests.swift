import Foundation
import Testing

/// The running mean of the training loss, and what ends by it.
@Suite struct TrainLossTests {
  private func loss(_ runs: Runs, _ data: String, _ options: String...) throws -> Double {
    try #require(try runs.train(arguments: options + [data])["train_loss_nats"])
  }

  @Test func itGoesOverAsManyWindowsAsAreAskedFor() throws {
    let runs = Runs("--window", "16")
    let data = runs.folder.put("data", Sample.tokens(4000))
    let each = try (1...3).map {
      try loss(runs, data, "--max-steps", "\($0)", "--loss-windows", "1")
    }
    #expect(Set(each).count == 3)
    func mean(_ weight: Double) -> Double {
      each.dropFirst().reduce(each[0]) { $0 + weight * ($1 - $0) }
    }
    #expect(abs(try loss(runs, data, "--max-steps", "3", "--loss-windows", "4") - mean(0.25)) < 1e-12)
    #expect(abs(try loss(runs, data, "--max-steps", "3") - mean(0.02)) < 1e-12)
  }

  /// A mean over many windows lags behind a loss that falls fast.
  @Test func aStopThatLooksAtOneWindowComesEarlier() throws {
    let runs = Runs("--context", "24", "--window", "context", "--lr", "0.05", "--max-steps", "2000")
    let data = runs.folder.put("data", Sample.tokens(24))
    let one = try runs.train("--stop-below", "2.5", "--loss-windows", "1", data)
    let fifty = try runs.train("--stop-below", "2.5", data)
    #expect(one["stopped_by"] == "stop-below" && fifty["stopped_by"] == "stop-below")
    #expect(one.steps < fifty.steps)
    let last: Double = try #require(one["train_loss_nats"])
    #expect(last < 2.5)
  }

  @Test func oneWindowIsTheLeast() throws {
    let runs = Runs()
    let data = runs.folder.put("data", Sample.tokens(400))
    try runs.fail(64, ["--loss-windows", "0", data], mentions: ["--loss-windows"])
  }
}
