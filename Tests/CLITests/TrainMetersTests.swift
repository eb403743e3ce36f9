import Foundation
import LongzooEstimator
import Testing

@testable import LongzooTraining
@testable import longzoo

@Suite struct TrainMetersTests {
  private static let keys = [
    "snr", "snr_error", "cosine", "predicted_cosine", "divergence", "returned_pairs", "lost_share",
    "clipped_share", "estimate_norm", "update_norm",
  ]

  private func meters(_ result: RunResult) throws -> [String: Double] {
    let object: [String: Any] = try #require(result["meters"])
    #expect(Set(object.keys) == Set(Self.keys))
    return object.compactMapValues { $0 as? Double }
  }

  @Test func metersAreInTheLogAndAtTheEnd() throws {
    let runs = Runs("--max-steps", "30", "--log-interval", "10")
    let data = runs.folder.put("data", Sample.tokens(4000))
    let last = try meters(try runs.train(data, out: "run"))
    let line = try #require(try runs.metrics("run").last)
    for key in Self.keys { #expect(line["meter/" + key] as? Double == last[key], "\(key)") }
    #expect(Set(Self.keys).subtracting(last.keys) == ["clipped_share"])
    for key in ["predicted_cosine", "divergence", "estimate_norm", "update_norm", "snr_error"] {
      #expect(last[key]! > 0, "\(key)")
    }
    #expect(last["lost_share"] == 0)
    // What is not measured is null.
    let exact = try meters(try runs.train("--max-steps", "3", "--regime", "inplace", data))
    #expect(Set(exact.keys) == ["predicted_cosine", "divergence", "returned_pairs", "lost_share"])
  }

  @Test func metersAreFunctionsOfTheUpdates() throws {
    let runs = Runs(
      "--max-steps", "60", "--pairs", "40", "--lifetime", "7", "--max-divergence", "0.3", "--eps", "0.3")
    let data = runs.folder.put("data", Sample.tokens(4000))
    let whole = try runs.train(data)
    let expected = try meters(whole)
    #expect(expected["returned_pairs"]! > 0)
    let threads = try runs.train("--threads", "2", data)
    #expect(threads.digest == whole.digest)
    #expect(try meters(threads) == expected)
    try runs.train("--max-steps", "23", data, out: "part")
    let part = try runs.resume("part", "--max-steps", "60")
    #expect(part.digest == whole.digest)
    #expect(try meters(part) == expected)
    #expect(try runs.train("--max-divergence", "0", data).digest != whole.digest)
  }

  /// What promises credit back to the context's start sends no pair back, however far apart its states are; unless it is told to.
  @Test(arguments: ["cd-rge", "nres", "pes"])
  func creditIsNotCutShort(estimator: String) throws {
    let runs = Runs("--max-steps", "40", "--estimator", estimator, "--context", "64", "--eps", "2")
    let data = runs.folder.put("data", Sample.tokens(4000))
    let whole = try runs.train("--pairs", "40", data)
    let bounded = try runs.train("--pairs", "40", "--max-divergence", "1.8", data)
    #expect(try meters(bounded)["returned_pairs"]! > 0)
    let isUnrolled = estimator != "cd-rge"
    #expect(try (meters(whole)["returned_pairs"] == 0) == isUnrolled)
    #expect((whole.digest != bounded.digest) == isUnrolled)
  }

  @Test func pairsReadingTheSameMeetTheory() throws {
    let runs = Runs(
      "--max-steps", "1600", "--pairs", "64", "--readout", "zo", "--eps", "0.01", "--lr", "0", "--context",
      "8"
    )
    let m = try meters(try runs.train(runs.folder.put("data", Sample.tokens(4000)), out: "run"))
    // Of every window with its own gradient: the ratio of means is near the mean of ratios.
    #expect(abs(m["cosine"]! / m["predicted_cosine"]! - 1) < 0.25, "\(m)")
    #expect(m["update_norm"] == 0)
  }

  @Test func troubleIsMeasured() throws {
    var m = RunMeters()
    var window = WindowMeters()
    (window.pairs, window.lostPairs, window.returnedPairs, window.divergence) = (100, 40, 20, 3.5)
    m.add(window, rate: nil)
    let readings = m.readings(.rank1, updateNorm: nil)
    #expect(readings.returnedPairs == 20 && readings.divergence == 3.5)
    #expect(abs(try #require(readings.lostShare) - 0.4) < 1e-12)
    #expect(m.lastRate == nil)
  }

  @Test func runningMeansForget() {
    var mean = RunMeters.Mean(weight: 0.1)
    #expect(mean.value == nil)
    for value in [1.0, 2, 3, .nan, .infinity] { mean.add(value) }
    #expect(mean.value == 2 && mean.count == 3)
    for _ in 0..<400 { mean.add(7) }
    #expect(abs(mean.value! - 7) < 1e-12)
  }
}
