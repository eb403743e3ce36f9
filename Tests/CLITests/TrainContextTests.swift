import Testing

@testable import LongzooTraining
@testable import longzoo

/// When the states of a stream go back to zero.
@Suite struct TrainContextTests {
  private static let tokens = Sample.tokens(4000)

  /// Every stream begins a context s/S of one behind the first one, in whole windows, and then after each whole context.
  @Test(arguments: [(10_000, 64, 64), (1_000_000, 64, 64), (37, 8, 16), (100, 7, 1), (12, 12, 5), (5, 9, 3)])
  func contextsHaveTheirLength(context: Int, window: Int, streams: Int) {
    let contexts = StaggeredContexts(context: context, window: window, streams: streams)
    var last = [Int](repeating: 0, count: streams)
    var lengths = [[Int]](repeating: [], count: streams)
    var (tokens, inContext) = (0, 0)
    while tokens < 4 * context {
      let count = min(window, context - inContext)
      tokens += count
      inContext = (inContext + count) % context
      for stream in contexts.streams(beginningAt: inContext) {
        lengths[stream].append(tokens - last[stream])
        last[stream] = tokens
      }
    }
    for (stream, lengths) in lengths.enumerated() {
      let behind = stream * context / streams / window * window
      let expected = (behind == 0 ? [] : [behind]) + [context, context, context]
      #expect(Array(lengths.prefix(expected.count)) == expected, "stream \(stream)")
    }
  }

  private static let kinds: [[String]] = [
    [], ["--lifetime", "3", "--readout", "zo"], ["--estimator", "jvp"], ["--estimator", "fd-rge"],
    ["--estimator", "hybrid", "--window", "8"], ["--estimator", "node"],
  ]

  @Test(arguments: kinds)
  func resumesAndThreadsDoNotChangeABit(options: [String]) throws {
    let runs = Runs("--streams", "5", "--context", "61", "--max-steps", "40")
    let data = runs.folder.put("data", Self.tokens)
    func train(_ more: [String], _ out: String) throws -> String {
      try runs.train(arguments: options + more + [data], out: out).digest
    }
    let whole = try train([], "whole")
    #expect(try train(["--threads", "2"], "threads") == whole)
    _ = try train(["--max-steps", "3"], "parts")
    for steps in [9, 17, 40] {
      let digest = try runs.resume("parts", "--max-steps", "\(steps)").digest
      #expect((digest == whole) == (steps == 40))
    }
    #expect(try train(["--reset", "together"], "together") != whole)
    #expect(try train(["--reset", "never"], "never") != whole)
  }

  /// One stream has nobody to be behind, and windows of whole contexts, nres and pes have all streams in step.
  @Test(arguments: [
    ["--streams", "1"], ["--window", "context"], ["--estimator", "nres"], ["--estimator", "pes"],
  ])
  func someAreInStep(options: [String]) throws {
    var runs = Runs("--context", "24", "--max-steps", "20")
    if !options.contains("--streams") { runs.common += ["--streams", "4"] }
    let data = runs.folder.put("data", Self.tokens)
    let digests = try ["context", "together"].map { reset in
      try runs.train(arguments: options + ["--reset", reset, data]).digest
    }
    #expect(digests[0] == digests[1])
  }
}
