import Foundation
import LongzooEstimator
import LongzooMemory
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
    (c.estimator.searchesEpsilon, c.optimizer.searchesRate) = (true, true)
    (c.run.evalInterval, c.run.evalTokens) = (0, 0)
    let whole = try #require(
      try JSONSerialization.jsonObject(with: JSONEncoder().encode(c)) as? [String: Any])
    let old = whole.filter { Self.keys.contains($0.key) }
    #expect(Set(old.keys) == Self.keys)
    let read = try JSONDecoder().decode(
      RunPlan.self, from: JSONSerialization.data(withJSONObject: old))
    var expected = RunPlan()
    (expected.run.evalInterval, expected.run.evalTokens) = (0, 0)
    expected.optimizer.searchesRate = true
    #expect(read == expected)
    #expect(read.estimator.rank == 1 && read.optimizer.tableRate == 1)
  }
}

/// Checkpoints that version 0.1 has written (Tests/Fixtures/make_runs.sh).
@Suite struct StoredRunsTests {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Fixtures/runs")
  private static let names: [String] =
    (try? FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()) ?? []

  @Test func everyEstimatorIsThere() throws {
    let families = try Set(Self.names.map { try state(of: $0, in: TestFolder()).plan.estimator.family })
    #expect(families.isSuperset(of: EstimatorFamily.all.prefix(9)))
  }

  @Test(arguments: names) func goOn(name: String) throws {
    let folder = TestFolder()
    let data = folder.put("data", (0..<2000).map(Self.token))
    #expect(try state(of: name, in: folder).progress.step == 4)
    let summary = try Trainer(resuming: folder("run"), in: folder("run")) {
      $0.data.paths = [data]
      $0.limits.maxSteps = 7
    }.run()
    #expect(summary.steps == 7 && summary.reason == .maxSteps)
    #expect(summary.heldOutBits.map { $0 > 0 && $0 < 4 } == true)
  }

  /// A file of a version to come, or of none at all, is no run of ours.
  @Test func othersAreRefused() throws {
    let folder = TestFolder()
    _ = try state(of: "tbptt.b64", in: folder)
    let error = failure { _ = try Trainer(resuming: folder("run")) { $0.model.hiddenSize = 3 } }
    #expect(error?.kind == .usage && error?.wording.settings.first == .hiddenSize)
    let foreign = failure { _ = try Trainer(resuming: folder("run")) { $0.estimator.pairs = 4 } }
    #expect(foreign?.kind == .usage && foreign?.wording.settings.first == .pairs)
  }

  private static func token(_ i: Int) -> UInt8 {
    let sum = i * i / 7 + i / 3
    return UInt8(sum % 3)
  }

  private func state(of name: String, in folder: TestFolder) throws -> CheckpointState {
    mkdir(folder("run"), 0o755)
    let text = try Data(contentsOf: Self.folder.appendingPathComponent(name))
    let bytes = try #require(Data(base64Encoded: text, options: .ignoreUnknownCharacters))
    let path = folder.put("run/checkpoint.safetensors", Array(bytes))
    return try Checkpoint.state(of: SafetensorsReader(path: path))
  }
}
