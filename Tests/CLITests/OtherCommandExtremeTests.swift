import ArgumentParser
import Testing

@testable import LongzooTraining
@testable import longzoo

/// Numbers for compare, task and bench that no machine can serve.
@Suite struct OtherCommandExtremeTests {
  private static let most = "9223372036854775807"

  @Test(arguments: [
    ["--pairs", "0"], ["--pairs", most], ["--streams", "0"], ["--streams", most], ["--window", "0"],
    ["--steps", "0"], ["--steps", most], ["--token-columns", "0"], ["--token-columns", most],
    ["--seconds", "nan"],
    ["--seconds", "inf"], ["--limit", "nan"], ["--cosine-seconds", "nan"], ["--contexts", "0"],
    ["--contexts", "99999999999999999999"],
  ])
  func compareRefusesInWords(options: [String]) throws {
    let error = #expect(throws: (any Error).self) { try LongzooCommand.parseAsRoot(["compare"] + options) }
    let code = error.map { LongzooCommand.exitCode(for: $0) }
    #expect(code == .validationFailure, "\(options): \(String(describing: error))")
  }

  /// More streams than columns, and windows whose tokens no number can hold.
  @Test func compareCountsWithAnyNumber() throws {
    for method in CompareMethod.allCases {
      var settings = CompareSettings()
      settings.common.streaming.streams = 1 << 20
      (settings.pairs, settings.window) = (1, .max)
      #expect(method.columnsPerToken(settings) >= 1, "\(method)")
      #expect(method.window(settings, context: .max) == .max, "\(method)")
    }
  }

  @Test func processesEndInWords() throws {
    let folder = TestFolder()
    let data = folder.put("data", Sample.tokens(2000))
    for (arguments, code) in [
      (["bench", "--hidden-size", "16777216", "--rounds", "1", "--threads", "1"], 64),
      (["bench", "--hidden-size", "64", "--vocab-size", Self.most, "--threads", "1"], 64),
      (["bench", "--hidden-size", "64", "--layers", Self.most, "--threads", "1"], 64),
      (["bench", "--hidden-size", Self.most, "--threads", "1"], 64),
      (["bench", "--hidden-size", "8", "--rounds", Self.most, "--threads", "1"], 64),
      (["compare", "--hidden-size", "16777216", "--pairs", "1048576", "--quiet", data], 64),
      (["eval", data, data, "--max-tokens", Self.most], 65),
    ] as [([String], Int32)] {
      let outcome = try LongzooProcess.run(arguments, in: folder)
      outcome.expectFailure(code, "\(arguments)")
    }
    for arguments in [
      ["latch", "--length", "1..68719476736", "--count", "1000"],
      ["latch", "--pad", Self.most, "--count", "3000"],
      ["copy", "--length", "1000000", "--count", "1000"],
      ["recall", "--length", "68719476736", "--count", "1000"],
      ["add", "--length", "1000000", "--count", "1000"],
      ["reverse", "--pad", Self.most, "--count", "1000"],
    ] {
      let outcome = try LongzooProcess.run(["task"] + arguments, in: folder)
      #expect(outcome.exitCode == 0 && outcome.output.utf8.count >= 1000, "\(arguments): \(outcome.errors)")
    }
  }
}
