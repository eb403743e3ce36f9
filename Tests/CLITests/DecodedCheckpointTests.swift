import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// What a checkpoint says of its run is no more believed than what a person types.
@Suite struct DecodedCheckpointTests {
  private static let tokens = Sample.tokens(4000)

  private func checkpoint(_ runs: Runs, _ options: [String], steps: Int = 3) throws -> CheckpointText {
    let data = runs.folder.put("data", Self.tokens)
    let common = [
      "--hidden-size", "8", "--vocab-size", "64", "--threads", "1", "--val-fraction", "0", "--streams", "1",
    ]
    let outcome = try LongzooProcess.run(
      ["train"] + common + options + ["--quiet", "--out-dir", "run", "--max-steps", "\(steps)", data],
      in: runs.folder)
    try #require(outcome.exitCode == 0, "\(options): \(outcome.errors)")
    return try CheckpointText(runs.checkpoint("run").bytes)
  }

  /// Every field of it at extremes: refused with the file's name and exit code 65, or sound enough to be planned with.
  @Test(arguments: [
    ["--pairs", "16", "--lr", "auto", "--readout", "zo", "--replay-log", "--context", "100"],
    ["--pairs", "16", "--estimator", "hybrid", "--context", "100"],
    ["--pairs", "16", "--estimator", "pes", "--context", "100"],
    ["--estimator", "tbptt", "--checkpointing", "4"],
    ["--pairs", "16", "--estimator", "node", "--eps", "auto"],
    ["--pairs", "16", "--regime", "inplace", "--save-interval", "2"],
  ])
  func extremesAreRefusedOrSound(options: [String]) throws {
    let runs = Runs()
    let text = try checkpoint(runs, options)
    var (refused, taken) = (0, 0)
    for (field, value, state) in Extreme.changes(of: text.state) {
      let path = runs.folder.put("changed", try text.file(state))
      do {
        let state = try Checkpoint.state(of: SafetensorsReader(path: path))
        // None of this may trap.
        let c = state.plan
        let tokens = state.progress.tokensPerStream * c.streaming.streams
        let limits = RunLimits(c, trainingTokens: 4000)
        _ = (
          limits.left(state.progress, tokens: tokens), limits.totalTokens, limits.totalUpdates, c.keptChunks
        )
        _ = EvaluationRhythm(c, limits, heldOutTokens: 400, seconds: state.progress.trainSeconds)
        _ = MemoryPlan.tableWithoutData(for: c)
        taken += 1
      } catch {
        #expect(error.exitCode == 65, "\(field) \(value): \(error)")
        #expect(error.message.hasPrefix(path) && error.message.count < 400, "\(field) \(value): \(error)")
        refused += 1
      }
    }
    #expect(refused > 300 && taken > 100, "\(refused), \(taken)")
  }

  /// The message leads to the field.
  @Test func refusalsNameTheField() throws {
    let runs = Runs()
    let text = try checkpoint(runs, ["--pairs", "16", "--context", "100", "--log-interval", "1"])
    for (field, value, mentions) in [
      ("progress.step", -1, "progress.step is -1"),
      ("progress.tokensPerStream", Int.max / 2, "progress.tokensPerStream"),
      ("progress.targets", Int.max, "progress.targets"),
      ("progress.tokensInContext", -Int.max, "tokensInContext"),
      ("progress.meters.returnedPairs", Int.max, "progress.meters.returnedPairs"),
      ("progress.meters.divergence.count", Int.max, "progress.meters.divergence.count"),
      ("progress.watch.windowsAbove", Int.max, "progress.watch.windowsAbove"),
      ("progress.ratePlan.wait", Int.max, "progress.ratePlan.wait"),
      ("optimizerUpdates", Int.max, "optimizerUpdates"),
      ("tokensBehindPosition", 1 << 40, "tokensBehindPosition"),
      ("configuration.hiddenSize", 0, "--hidden-size"), ("configuration.lifetime", 0, "--lifetime"),
      ("configuration.threads", 0, "--threads"), ("configuration.logInterval", -5, "--log-interval"),
      ("configuration.zstdWindowLog", 99, "--zstd-window-log"),
      ("configuration.dtype", 7, "configuration.dtype"),
      ("configuration.hiddenSize", 16, "16 units"), ("configuration.pairs", 1 << 20, "pairs"),
    ] as [(String, Int, String)] {
      let change = try #require(
        Extreme.changes(of: text.state).first { $0.field == field || field.hasPrefix($0.field + ".") },
        "\(field)")
      #expect(change.field == field, "\(field) is not in a checkpoint")
      var state = text.state
      Self.set(&state, field.split(separator: ".").map(String.init)[...], value)
      let path = runs.folder.put("changed", try text.file(state))
      let error = failure { _ = try Checkpoint.state(of: SafetensorsReader(path: path)) }
      #expect(
        error?.exitCode == 65 && error?.message.contains(mentions) == true,
        "\(field): \(String(describing: error))")
    }
  }

  private static func set(_ object: inout [String: Any], _ path: ArraySlice<String>, _ value: Any) {
    guard let key = path.first else { return }
    guard path.count > 1 else {
      object[key] = value
      return
    }
    var inner = object[key] as? [String: Any] ?? [:]
    set(&inner, path.dropFirst(), value)
    object[key] = inner
  }

  /// What passes the door is resumed to its end, or refused: no trap, no endless reading.
  @Test func whatIsTakenCanBeResumed() throws {
    let runs = Runs()
    let text = try checkpoint(runs, ["--pairs", "16", "--context", "100", "--lr", "auto"], steps: 20)
    let numbers: [Any] = [1, 1 << 31, 1 << 53, 0.5]
    let changes = Extreme.changes(of: text.state).filter { change in
      numbers.contains { "\($0)" == "\(change.value)" }
    }
    var launched = 0
    for (field, value, state) in changes {
      let path = runs.folder.put("changed", try text.file(state))
      guard failure({ _ = try Checkpoint.state(of: SafetensorsReader(path: path)) }) == nil else { continue }
      launched += 1
      guard launched % 6 == 0 else { continue }
      let outcome = try LongzooProcess.run(
        [
          "train", "--resume", path, "--out-dir", "new", "--max-steps", "24", "--threads", "1",
          "--memory-budget",
          "1GiB",
        ], in: runs.folder, seconds: 60)
      #expect(
        [0, 1, 64, 65, 74].contains(outcome.exitCode),
        "\(field) \(value): \(outcome.exitCode) \(outcome.errors)")
    }
    #expect(launched > 20)
  }

  /// The window with which pes began its context is in a tensor.
  @Test func startsOfUnrollsAreChecked() throws {
    let runs = Runs()
    let data = runs.folder.put("data", Self.tokens)
    let options = ["--estimator", "pes", "--context", "1000", "--max-steps", "5", data]
    let outcome = try LongzooProcess.run(runs.arguments(options, out: "run"), in: runs.folder)
    try #require(outcome.exitCode == 0, "\(outcome.errors)")
    let bytes = runs.checkpoint("run").bytes
    let file = try SafetensorsReader(path: runs.folder("run/checkpoint.safetensors"))
    let entry = try #require(file["longzoo.unroll.start"])
    let data0 = 8 + bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    let at = data0 + entry.range.lowerBound
    #expect(failure { _ = try Checkpoint.state(of: file) } == nil)
    #expect(bytes[at] == 1)
    for (place, byte) in [(2, 5), (9, 0x80), (9, 0x7f), (5, 1)] as [(Int, UInt8)] {
      var changed = bytes
      changed[at + place] = byte
      let path = runs.folder.put("changed", changed)
      let error = failure { _ = try Checkpoint.state(of: SafetensorsReader(path: path)) }
      #expect(error?.exitCode == 65 && error?.message.contains("unroll.start") == true, "\(place) \(byte)")
    }
  }
}
