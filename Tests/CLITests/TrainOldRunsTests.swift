import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// Runs that an earlier version began.
@Suite struct TrainOldRunsTests {
  /// Keys of a configuration that every checkpoint has had since they could be resumed. A key that comes later has to be optional in
  /// `RunPlan`, with nil for what was done before it existed: old runs lack it.
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
    c.rank = 3
    c.tableRate = 2
    c.creditDecay = 0.5
    c.searchesEpsilon = true
    (c.evalInterval, c.evalTokens) = (0, 0)
    let whole = try #require(
      try JSONSerialization.jsonObject(with: JSONEncoder().encode(c)) as? [String: Any])
    let old = whole.filter { Self.keys.contains($0.key) }
    #expect(Set(old.keys) == Self.keys)
    let read = try JSONDecoder().decode(
      RunPlan.self, from: JSONSerialization.data(withJSONObject: old))
    var expected = RunPlan()
    (expected.evalInterval, expected.evalTokens, expected.cell) = (0, 0, nil)
    #expect(read == expected)
    #expect(read.rank == 1 && read.optimizerConfiguration.tableRate == 1)
  }
}
