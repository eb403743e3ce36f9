import Foundation
import LongzooMemory
import Testing

@testable import LongzooStream
@testable import LongzooTraining
@testable import longzoo

@Suite struct TrainSearchTests {
  private static let tokens = Sample.tokens(40_000)

  private func lines(_ runs: Runs, _ out: String) throws -> (trials: [[String: Any]], chosen: [Double]) {
    let lines = try runs.metrics(out)
    return (lines.filter { $0["search/rate"] != nil }, lines.compactMap { $0["search/chosen"] as? Double })
  }

  /// Everything that the search touched is as it was: a run that was told the rate from the start is the same run.
  @Test(arguments: [
    [], ["--lifetime", "5", "--streams", "16"], ["--readout", "zo", "--optimizer", "sgd"],
    ["--context", "203"],
    ["--perturbation", "rademacher"], ["--estimator", "nres", "--context", "64"],
    ["--estimator", "pes", "--context", "64"],
    ["--estimator", "hybrid"], ["--estimator", "tbptt"], ["--estimator", "node"],
    ["--step", "normalized", "--optimizer", "sgd", "--layers", "2"],
  ])
  func afterwardsItIsTheRunWithThatRate(options: [String]) throws {
    var runs = Runs("--max-steps", "250", "--log-interval", "1")
    if options.contains("tbptt") {
      runs.common.removeFirst(2 * 1 + 2)
      runs.common += ["--hidden-size", "8"]
    }
    let data = runs.folder.put("data", Self.tokens)
    func train(_ more: [String], _ out: String) throws -> RunResult {
      try runs.train(arguments: options + more + [data], out: out)
    }
    let searched = try train(["--lr", "auto"], "auto")
    let (trials, chosen) = try lines(runs, "auto")
    #expect(trials.count == 8 && chosen.count == 1)
    #expect(searched["rate_searches"] == 1 && searched["learning_rate"] == chosen[0])
    let told = try train(["--lr", "\(chosen[0])"], "told")
    #expect(searched.digest == told.digest)
    #expect(searched["tokens"] as Int? == told["tokens"])
    #expect(searched["train_loss_nats"] as Double? == told["train_loss_nats"])
    #expect(try train(["--lr", "auto", "--threads", "2"], "two").digest == searched.digest)
  }

  /// The same of an ε, by itself and behind a rate.
  @Test(arguments: [
    ["--readout", "zo"], ["--lifetime", "5", "--streams", "16"], ["--estimator", "node"],
    ["--estimator", "hybrid"],
    ["--lr", "auto"], ["--lr", "auto", "--estimator", "node", "--readout", "zo"],
  ])
  func afterwardsItIsTheRunWithThatEpsilon(options: [String]) throws {
    let runs = Runs("--max-steps", "250", "--log-interval", "1")
    let data = runs.folder.put("data", Self.tokens)
    func train(_ more: [String], _ out: String) throws -> RunResult {
      try runs.train(arguments: options + more + [data], out: out)
    }
    let searched = try train(["--eps", "auto"], "auto")
    let metrics = try runs.metrics("auto")
    let tried = metrics.compactMap { $0["search/eps"] as? Double }
    let chosen = metrics.compactMap { $0["search/chosen_eps"] as? Double }
    let middle =
      options.contains("hybrid") ? 0.05 : options.contains("node") && options.contains("zo") ? 0.1 : 0.2
    #expect(tried == [0.25, 0.5, 1, 2, 4].map { middle * $0 } && chosen.count == 1)
    #expect(tried.contains(chosen[0]) && searched["epsilon"] == chosen[0])
    #expect(searched["rate_searches"] == 1)
    let rate: Double = try #require(searched["learning_rate"])
    #expect(metrics.filter { $0["search/rate"] != nil }.count == (options.contains("auto") ? 8 : 0))
    let told = try train(["--lr", "\(rate)", "--eps", "\(chosen[0])"], "told")
    #expect(searched.digest == told.digest)
    #expect(try train(["--eps", "auto", "--threads", "2"], "two").digest == searched.digest)
    // Other values make other runs: what was tried has been trained with.
    let losses = metrics.filter { $0["search/eps"] != nil }.compactMap { $0["search/loss"] as? Double }
    #expect(Set(losses).count == 5)
  }

  @Test func anEpsilonCannotBeSearchedEverywhere() throws {
    let runs = Runs("--eps", "auto", "--max-steps", "3")
    let data = runs.folder.put("data", Self.tokens)
    for (options, mentions) in [
      (["--estimator", "nres", "--context", "64"], ["--eps auto", "nres"]),
      (["--estimator", "pes", "--context", "64"], ["--eps auto", "pes"]),
      (["--lifetime", "33"], ["--eps auto", "--lifetime 33"]),
      (["--regime", "inplace"], ["--eps auto"]),
      (["--lr", "auto", "--regime", "inplace"], ["--lr auto and --eps auto"]),
      (["--estimator", "jvp"], ["--eps"]),
    ] { try runs.fail(64, options + [data], mentions: mentions) }
  }

  @Test(arguments: [false, true])
  func resumesAreExactWithinTheBlock(pipe: Bool) throws {
    let runs = Runs("--lr", "auto", "--eps", "auto")
    let data = pipe ? "-" : runs.folder.put("data", Self.tokens)
    let input: LongzooProcess.Input = pipe ? .bytes(Self.tokens) : .nothing
    let whole = try runs.train("--max-steps", "260", data, input: input)
    // Within the block, at its end, and behind it; a loss that is reached ends a run and does not shorten its trials.
    for end in [
      ["--stop-below", "100"], ["--stop-below", "3.9"], ["--max-steps", "192"], ["--max-steps", "200"],
    ] {
      let out = "part-" + end[1]
      let part = try runs.train(end[0], end[1], data, out: out, input: input)
      #expect(end[0] == "--max-steps" || (1..<192).contains(part.steps))
      let rest = ["--stop-below", "0.001", "--max-steps", "260"] + (pipe ? ["-"] : [])
      #expect(try runs.resume(out, arguments: rest, input: input).digest == whole.digest, "\(end)")
    }
  }

  @Test func aShortPipeIsNoTrouble() throws {
    let runs = Runs("--lr", "auto")
    let result = try runs.train("-", input: .bytes(Array(Self.tokens[..<300])))
    #expect(result["stopped_by"] == "end-of-data" && result.steps == 38)
    #expect(result["rate_searches"] == 1)
  }

  /// Where there is no room for trials the run trains all the same, at the default, and says so.
  @Test(arguments: [["--max-steps", "15"], ["--max-tokens", "127"], ["--max-seconds", "0.02"]])
  func aShortRunIsTrained(limit: [String]) throws {
    let runs = Runs()
    let data = runs.folder.put("data", Self.tokens)
    let arguments = runs.arguments(["--lr", "auto"] + limit + [data], out: "run").filter { $0 != "--quiet" }
    let outcome = try LongzooProcess.run(arguments, in: runs.folder)
    let result = try RunResult(outcome.output)
    #expect(result.steps > 0 && result["rate_searches"] == 0 && result["learning_rate"] == 0.0025)
    let lines = outcome.errors.split(whereSeparator: \.isNewline)
    #expect(lines.filter { $0.contains("--lr auto: the run is too short") }.count == 1, "\(outcome.errors)")
  }

  @Test func noTrialIsLongerThanTheRun() throws {
    let runs = Runs("--lr", "auto", "--max-steps", "40")
    _ = try runs.train(runs.folder.put("data", Self.tokens), out: "run")
    #expect(
      try lines(runs, "run").trials.map { $0["search/windows"] as? Int } == Array(repeating: 40, count: 8))
  }

  @Test func theSearchKeepsToItsShareOfTheSeconds() {
    func verdict(_ pace: Double, _ trained: Int, secondsLeft: Double?, windowsLeft: Int? = nil)
      -> SearchBudget.Verdict
    {
      var budget = SearchBudget()
      for _ in 0..<trained { budget.add(seconds: pace) }
      return budget.verdict(most: 192, trials: 8, secondsLeft: secondsLeft, windowsLeft: windowsLeft)
    }
    #expect(verdict(1, 0, secondsLeft: nil) == .windows(192))
    #expect(verdict(1, 0, secondsLeft: 1e9) == .later && verdict(1, 16, secondsLeft: 1e9) == .later)
    #expect(verdict(0.001, 17, secondsLeft: 100) == .windows(192))
    // 8 trials of 125 windows are a second, a tenth of ten.
    #expect((124...125).contains(windows(verdict(0.001, 17, secondsLeft: 10))))
    #expect(verdict(0.001, 17, secondsLeft: 1.2) == .none)
    #expect(verdict(1, 3, secondsLeft: 10) == .none)
    #expect(verdict(0.001, 17, secondsLeft: 100, windowsLeft: 20) == .windows(20))
    #expect(verdict(0.001, 17, secondsLeft: 100, windowsLeft: 15) == .none)
    #expect(verdict(0, 17, secondsLeft: 1) == .windows(192))
    #expect(verdict(1, 17, secondsLeft: -1) == .none)
  }

  private func windows(_ verdict: SearchBudget.Verdict) -> Int {
    if case .windows(let windows) = verdict { windows } else { 0 }
  }

  @Test func memoryIsPlannedAndBounded() throws {
    let runs = Runs("--lr", "auto", "--max-steps", "3")
    let data = runs.folder.put("data", Self.tokens)
    for options in [
      [], ["--optimizer", "sgd", "--streams", "16"], ["--window", "500"],
      ["--replay-log", "--readout", "zo"],
    ] {
      let planned = try LongzooProcess.run(
        runs.arguments(options + ["--dry-run", data], out: "x"), in: runs.folder)
      let table = try RunResult(planned.output).values.compactMapValues { $0 as? Int }
      #expect(try runs.train(arguments: options + [data]).memory == table, "\(options)")
    }
    try runs.fail(64, ["--window", "context", "--context", "10M", data], mentions: ["--lr auto"])
    try runs.fail(64, ["--regime", "inplace", data], mentions: ["--lr auto"])
    try runs.fail(64, ["--lr", "quick", data], mentions: ["auto"])
  }

  /// A rate that suits nobody is found to be so.
  @Test func aBadScaleIsLeft() throws {
    // The readout's search in V = 64 with 16 pairs at the default for sgd.
    let runs = Runs("--max-steps", "400", "--optimizer", "sgd", "--readout", "zo", "--eps", "0.05")
    let data = runs.folder.put("data", Self.tokens)
    let auto: Double = try #require(try runs.train("--lr", "auto", data)["train_loss_nats"])
    let slow: Double = try #require(try runs.train("--lr", "0.0001", data)["train_loss_nats"])
    #expect(auto < slow - 0.1, "\(auto) with auto, \(slow) with a rate that is too small")
  }

  // MARK: The search itself

  private func search(_ best: Double, around base: Double, isFirst: Bool) throws -> (
    value: Double, trials: [SettingSearch.Trial]
  )? {
    try SettingSearch.search(.rate, around: base, windows: 64, isFirst: isFirst) { rate in
      (4, rate > 40 * best ? .nan : 2 + abs(log2(rate / best)))
    }
  }

  @Test(arguments: [0.01, 0.04, 0.0007, 0.15]) func theBestIsFound(best: Double) throws {
    let found = try #require(try search(best, around: 0.01, isFirst: true))
    #expect(abs(log2(found.value / best)) <= 2.1, "\(found.value) for \(best)")
    #expect(found.trials.map(\.windows) == Array(repeating: 64, count: 8))
  }

  @Test func theMiddleStaysWhereItIsGoodEnough() throws {
    func choose(_ losses: [Double], isFirst: Bool) -> Double {
      SettingSearch.choose(
        zip([0.5, 1, 2], losses).map { .init(value: $0, loss: $1, windows: 9, start: 4) }, middle: 1,
        isFirst: isFirst)
    }
    #expect(choose([2, 2, 2], isFirst: false) == 1 && choose([1.999, 2, 2.1], isFirst: false) == 1)
    #expect(choose([1.9, 2, 2.1], isFirst: false) == 0.5 && choose([2, 2, 1.9], isFirst: false) == 2)
    // Half of the best one's progress is enough at the start.
    #expect(choose([3, 2.9, 2], isFirst: true) == 1 && choose([3, 3.1, 2], isFirst: true) == 2)
    for isFirst in [false, true] {
      #expect(choose([.infinity, .infinity, .infinity], isFirst: isFirst) == 1)
      #expect(choose([3, .infinity, .infinity], isFirst: isFirst) == 0.5)
    }
    let none = try SettingSearch.search(.rate, around: 1, windows: 64, isFirst: true) { _ in nil }
    #expect(none == nil)
  }

  @Test func anEpsilonOfAnotherScaleIsFound() throws {
    for (best, expected) in [(0.2, 0.2), (0.8, 0.8), (0.05, 0.05)] {
      let found = try SettingSearch.search(.epsilon, around: 0.2, windows: 64, isFirst: true) {
        (4, 2 + abs(log2($0 / best)))
      }
      #expect(found?.value == expected && found?.trials.count == 5)
    }
    #expect(SettingSearch.trials([.rate, .epsilon], isFirst: true) == 13)
    #expect(SettingSearch.trials([.rate, .epsilon], isFirst: false) == 7)
    #expect(
      SearchedSetting.rate.stillWindows(of: 192) == 0 && SearchedSetting.epsilon.stillWindows(of: 16) == 5)
  }

  @Test func plateausAreNoticed() {
    var plan = RatePlan()
    #expect(plan.isDue(step: 0))
    plan.take(TrialValues(rate: 0.1, epsilon: 0.2), step: 0)
    for step in 0..<6000 { plan.add(loss: 5 - 0.0005 * Double(step), step: step) }
    #expect(!plan.isDue(step: 6000))
    for step in 6000..<15_000 { plan.add(loss: 2, step: step) }
    #expect(plan.isDue(step: 15_000))
    var other = plan
    plan.take(TrialValues(rate: 0.1, epsilon: 0.2), step: 15_000)
    #expect(!plan.isDue(step: 15_000 + 6001) && plan.isDue(step: 15_000 + 12_001))
    other.take(TrialValues(rate: 0.1, epsilon: 0.4), step: 15_000)
    #expect(other.isDue(step: 15_000 + 6001))
  }

  @Test func plansOfOldRunsHaveNoEpsilon() throws {
    var plan = RatePlan()
    plan.take(TrialValues(rate: 0.1, epsilon: 0.2), step: 3)
    var json = try #require(
      try JSONSerialization.jsonObject(with: JSONEncoder().encode(plan)) as? [String: Any])
    json["epsilon"] = nil
    let old = try JSONDecoder().decode(RatePlan.self, from: JSONSerialization.data(withJSONObject: json))
    #expect(old.rate == 0.1 && old.epsilon == nil && old.searches == 1)
  }
}
