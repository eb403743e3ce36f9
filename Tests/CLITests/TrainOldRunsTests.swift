import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// Runs that an earlier version began.
@Suite struct TrainOldRunsTests {
  /// Keys of a configuration that every checkpoint has had since they could be resumed. A key that came later is missing in
  /// old runs, and means the default.
  private static let keys: Set<String> = [
    "beta2", "beyondMomentum", "checkpointing", "clipNorm", "compression", "context", "dtype", "epsilon",
    "estimator",
    "evalInterval", "evalTokens", "heads", "hiddenSize", "layers", "learningRate", "lifetime",
    "maxDivergence",
    "momentum", "optimizer", "pairs", "paths", "perturbation", "readout", "regime", "replayLog", "reset",
    "schedule",
    "searchesRate", "seed", "skipTokens", "step", "streams", "targets", "threads", "valFraction",
    "vocabularySize",
    "warmup", "weightDecay", "window", "zstdWindowLog",
  ]

  @Test func configurationsNeedNoNewKeys() throws {
    var c = RunPlan()
    c.estimator.rank = 3
    c.optimizer.tableRate = 2
    c.estimator.creditDecay = 0.5
    c.estimator.searchesEpsilon = true
    (c.run.evalInterval, c.run.evalTokens) = (0, 0)
    let whole = try #require(
      try JSONSerialization.jsonObject(with: JSONEncoder().encode(c)) as? [String: Any])
    let old = whole.filter { Self.keys.contains($0.key) }
    #expect(Set(old.keys) == Self.keys)
    let read = try JSONDecoder().decode(
      RunPlan.self, from: JSONSerialization.data(withJSONObject: old))
    var expected = RunPlan()
    (expected.run.evalInterval, expected.run.evalTokens) = (0, 0)
    #expect(read == expected)
    #expect(read.estimator.rank == 1 && read.optimizerConfiguration.tableRate == 1)
  }
}
