import Testing

@testable import LongzooTraining
@testable import longzoo

/// What the end of a run recommends.
@Suite struct AdviceTests {
  private func advice(
    _ options: [String], updates: Int = 100_000, bits: Double? = 2.5, rightAnswers: Double? = nil
  ) throws -> String? {
    let command = try #require(try LongzooCommand.parseAsRoot(["train", "data"] + options) as? TrainCommand)
    return Advice(
      plan: try command.plan(over: nil), updates: updates, activations: 3 << 20,
      heldOutBits: bits, rightAnswers: rightAnswers
    ).sentence
  }

  @Test(arguments: ["cd-rge", "fd-rge", "jvp", "node"])
  func pairsAreToldOfExactGradients(estimator: String) throws {
    let text = try #require(try advice(["--estimator", estimator]))
    for part in [
      "--estimator tbptt", "64 tokens of credit", "(here: 8)", "activations of", "(here: 3.00 MiB)",
    ] {
      #expect(text.contains(part), "\(text)")
    }
    #expect(!text.contains("\n"))
  }

  @Test func creditIsThatOfTheRun() throws {
    func reach(_ options: String...) throws -> Int {
      let command = try #require(
        try LongzooCommand.parseAsRoot(["train", "data"] + options) as? TrainCommand)
      return try command.plan(over: nil).creditReach
    }
    #expect(try reach() == 8)
    #expect(try reach("--window", "16", "--lifetime", "5") == 80)
    #expect(try reach("--window", "16", "--lifetime", "5", "--context", "50") == 50)
    #expect(try reach("--window", "16", "--lifetime", "5", "--context", "50", "--reset", "never") == 80)
    #expect(try reach("--window", "context", "--context", "5k") == 5000)
    #expect(
      try reach("--window", "8", "--lifetime", "1073741824", "--context", "0", "--max-steps", "1") == 8 << 30)
    #expect(try reach("--estimator", "pes") == 1024)
    #expect(try reach("--estimator", "hybrid") == 256)
    #expect(try reach("--estimator", "tbptt", "--window", "32") == 32)
    #expect(try reach("--estimator", "node") == 8)
  }

  @Test func truncationIsToldWhereItsCreditEnds() throws {
    let text = try #require(try advice(["--estimator", "tbptt", "--window", "32"]))
    for part in ["after 32 tokens", "--estimator hybrid", "--estimator cd-rge --window context"] {
      #expect(text.contains(part), "\(text)")
    }
    #expect(try advice(["--estimator", "tbptt", "--context", "64"]) == nil)
    #expect(try advice(["--estimator", "tbptt", "--context", "0", "--max-steps", "9"]) != nil)
  }

  @Test func hybridIsToldByWhatTheDataAsks() throws {
    #expect(try #require(try advice(["--estimator", "hybrid"])).contains("--estimator tbptt"))
    #expect(
      try #require(try advice(["--estimator", "hybrid"], rightAnswers: 0.5)).contains("--estimator cd-rge"))
  }

  @Test func wholeContextsAreToldOfMoreUpdates() throws {
    let few = ["--estimator", "bptt", "--context", "6400"]
    #expect(try #require(try advice(few, updates: 20)).contains("100 updates in the time of one"))
    #expect(try advice(few, updates: 5000) == nil)
    #expect(try advice(["--estimator", "bptt", "--context", "96"], updates: 20) == nil)
  }

  @Test func nothingIsSaidWhereNothingIsBetter() throws {
    #expect(try advice([], bits: 0.01) == nil)
    #expect(try advice([], bits: nil) != nil)
    for estimator in ["cd-rge", "tbptt", "hybrid"] {
      #expect(try advice(["--estimator", estimator], rightAnswers: 1) == nil, "\(estimator)")
    }
    // A credit that was made long on purpose, for answers that may need it.
    #expect(try advice(["--lifetime", "12"], rightAnswers: 0.3) == nil)
    #expect(try advice(["--window", "context", "--context", "5k"], rightAnswers: 0.3) == nil)
    #expect(try advice([], rightAnswers: 0.3) != nil)
  }
}
