import Foundation
import Testing

/// Memory is known before a run, is what the run then holds, and does not depend on how long the context or the data is.
@Suite struct TrainMemoryTests {
  private static let tokens = Sample.tokens(5000)
  private static let slack = 2 << 20

  private func plan(_ runs: Runs, _ options: [String], input: LongzooProcess.Input = .nothing) throws
    -> [String: Int]
  {
    let out = UUID().uuidString
    let outcome = try LongzooProcess.run(
      runs.arguments(options + ["--dry-run"], out: out), in: runs.folder, input: input)
    try #require(outcome.exitCode == 0, "\(options): \(outcome.errors)")
    #expect(!runs.folder.names.contains(out))
    let result = try RunResult(outcome.output)
    return result.values.compactMapValues { $0 as? Int }
  }

  @Test(arguments: [
    [], ["--readout", "zo"], ["--perturbation", "rademacher"],
    ["--perturbation", "rademacher", "--readout", "zo", "--layers", "2"],
    ["--perturbation", "gaussian"], ["--perturbation", "gaussian", "--readout", "zo", "--layers", "2"],
    ["--perturbation", "gaussian", "--estimator", "hybrid", "--threads", "2"],
    ["--rank", "5"], ["--rank", "2", "--readout", "zo", "--layers", "2"],
    ["--rank", "3", "--estimator", "hybrid"],
    ["--layers", "2", "--hidden-size", "16"], ["--streams", "16"],
    ["--streams", "3", "--layers", "2", "--pairs", "17"],
    ["--threads", "2", "--pairs", "40"], ["--optimizer", "sgd", "--momentum", "0"],
    ["--optimizer", "muon", "--layers", "2"],
    ["--window", "context", "--context", "300"],
    ["--window", "3"], ["--vocab-size", "256"],
    ["--regime", "inplace", "--hidden-size", "12", "--heads", "3"],
    ["--regime", "inplace", "--window", "context", "--context", "40", "--threads", "2", "--pairs", "70"],
  ])
  func thePlanIsTheRun(options: [String]) throws {
    let runs = Runs("--max-steps", "3", "--val-fraction", "0.1")
    let folder = runs.folder
    let keys = [
      "parameters", "activations", "perturbations", "optimizer", "stream", "checkpoint", "peak_total",
    ]
    for data in [
      folder.put("plain", Self.tokens), folder.put("one.zst", Sample.zstd(Self.tokens)),
      folder.put("one.lz4", Sample.lz4(Self.tokens)),
    ] {
      let planned = try plan(runs, options + [data])
      let result = try runs.train(arguments: options + [data])
      #expect(result.memory == planned, "\(options) \(data)")
      #expect(Set(keys).isSubset(of: planned.keys))
      #expect(keys.dropLast().map { planned[$0] ?? 0 }.reduce(0, +) == planned["peak_total"])
      #expect(result.peakResident > planned["peak_total"]! / 4)
      // Held-out data in a file of its own.
      let held = ["--val-fraction", "0", "--val", data]
      let second = try runs.train(arguments: options + held + [data])
      #expect(try second.memory == plan(runs, options + held + [data]), "\(options) \(held)")
    }
  }

  @Test func aPipeDiffersInItsStreamOnly() throws {
    let runs = Runs("--max-steps", "3", isProcess: true)
    for bytes in [Self.tokens, Sample.zstd(Self.tokens), Sample.lz4(Self.tokens)] {
      var planned = try plan(runs, ["-"], input: .bytes(bytes))
      var held = try runs.train("-", input: .bytes(bytes)).memory
      #expect(held["stream"]! >= planned["stream"]!)
      for key in ["stream", "peak_total"] { (planned[key], held[key]) = (nil, nil) }
      #expect(held == planned)
    }
  }

  @Test func resumedRunsHoldTheSame() throws {
    let runs = Runs("--max-steps", "3", "--val-fraction", "0.1", "--streams", "4")
    let data = runs.folder.put("data", Self.tokens)
    let first = try runs.train(data, out: "run")
    #expect(try runs.resume("run", "--max-steps", "6").memory == first.memory)
  }

  @Test(arguments: [["--streams", "1"], ["--streams", "16"]])
  func theLedgerKnowsNoLength(options: [String]) throws {
    let runs = Runs("--max-steps", "3")
    var tables: [[String: Int]] = []
    for (name, count) in [("few", 2000), ("many", 300_000)] {
      let data = runs.folder.put(name, Sample.tokens(count))
      for context in ["1000", "100k", "1M", "1G"] {
        for window in ["8", "100", "context"] {
          let planned = try plan(runs, options + ["--context", context, "--window", window, data])
          if window == "context" { tables.append(planned) }
          if window != "context", context == "1M" {
            let run = try runs.train(arguments: options + ["--context", context, "--window", window, data])
            #expect(run.memory == planned)
          }
        }
        let planned = try plan(runs, options + ["--context", context, data])
        #expect(
          try planned == plan(runs, options + ["--context", "77", runs.folder("few")]), "\(name) \(context)")
      }
    }
    #expect(Set(tables).count == 1, "\(tables)")
  }

  /// The same process on a hundred times the tokens.
  private func expectFlat(
    _ runs: Runs, _ data: [String], input: (_ tokens: Int) -> LongzooProcess.Input = { _ in .nothing },
    most: Int = 1_000_000,
    seconds: Double = 60
  ) throws {
    let results = try [10_000, most].map { tokens in
      let outcome = try LongzooProcess.run(
        runs.arguments(["--max-tokens", "\(tokens)"] + data, out: "run-\(tokens)"), in: runs.folder,
        input: input(tokens),
        seconds: seconds)
      try #require(outcome.exitCode == 0, "\(outcome.errors)")
      return try RunResult(outcome.output)
    }
    #expect(results[0]["tokens"]! < 12_000)
    #expect(results[1]["tokens"]! >= most)
    #expect(results[0].memory == results[1].memory)
    #expect(
      results[1].peakResident - results[0].peakResident < Self.slack,
      "\(results.map(\.peakResident)) bytes resident")
  }

  @Test func residentMemoryIsFlat() throws {
    let runs = Runs(
      "--hidden-size", "4", "--pairs", "16", "--vocab-size", "64", "--window", "100", "--log-interval", "100",
      isProcess: true)
    let bytes = Sample.tokens(1_200_000)
    try expectFlat(runs, [runs.folder.put("data", bytes)])
    try expectFlat(runs, ["--streams", "16", runs.folder.put("data.zst", Sample.zstd(bytes))])
  }

  @Test func aMiddlingModelIsSmall() throws {
    let runs = Runs(
      "--hidden-size", "128", "--pairs", "64", "--vocab-size", "256", "--max-steps", "10", "--val-fraction",
      "0.1", isProcess: true)
    let data = runs.folder.put("data.zst", Sample.zstd(Sample.tokens(100_000)))
    for options in [["--streams", "1"], ["--streams", "64", "--threads", "2"]] {
      let outcome = try LongzooProcess.run(runs.arguments(options + [data], out: "run"), in: runs.folder)
      #expect(try RunResult(outcome.output).peakResident < 96 << 20)
    }
  }

  @Test(.enabled(if: ProcessInfo.processInfo.environment["LONGZOO_LONG_TESTS"] == "1"))
  func tenMillionTokensThroughAPipe() throws {
    var runs = Runs("--hidden-size", "4", "--window", "1000", "--log-interval", "100", isProcess: true)
    runs.common += ["--vocab-size", "16"]
    let bytes = Sample.tokens(100_000).map { $0 & 15 }
    for piece in [bytes, Sample.zstd(bytes), Sample.lz4(bytes)] {
      try expectFlat(
        runs, ["-"], input: { .endless(piece, repetitions: $0 / bytes.count + 1) }, most: 10_000_000,
        seconds: 300)
    }
  }
}
