import Testing

@testable import LongzooTraining
@testable import longzoo

/// The defaults that follow from other options: docs/defaults.md.
@Suite struct RecipeTests {
  private func configuration(_ options: [String]) throws -> RunPlan {
    let command = try #require(try LongzooCommand.parseAsRoot(["train"] + options) as? TrainCommand)
    return try command.plan(over: nil)
  }

  @Test(arguments: ["tbptt", "hybrid", "bptt"])
  func exactGradientsLearnByMuonAtARateThatFalls(estimator: String) throws {
    let c = try configuration(["data", "--estimator", estimator])
    #expect(c.optimizer.kind == .muon && c.optimizer.momentum == 0.95 && c.optimizer.weightDecay == 0.05)
    #expect(c.optimizer.schedule == .cosine)
    #expect(c.optimizer.learningRate == 0.08 && c.optimizer.tableRate == 3)
    #expect(
      try configuration(["data", "--estimator", estimator, "--lr-schedule", "constant"]).optimizer
        .learningRate == 0.04)
    #expect(c.streaming.context == (estimator == "bptt" ? 1_000_000 : 10_000))
  }

  @Test func pairsLearnByAdam() throws {
    for estimator in ["fd-rge", "jvp", "nres", "pes", "node"] {
      let c = try configuration(["data", "--estimator", estimator])
      #expect(
        c.optimizer.kind == .adam && c.optimizer.momentum == 0.9 && c.optimizer.weightDecay == 0,
        "\(estimator)")
      #expect(
        c.optimizer.schedule == .constant && c.optimizer.learningRate == (estimator == "node" ? 0.004 : 0.01),
        "\(estimator)")
    }
  }

  @Test func centralDifferencesLearnByMuonAtARateThatFalls() throws {
    for options in [
      ["data", "--max-steps", "4000"], ["data", "--max-steps", "100", "--lr-schedule", "linear"],
      ["data", "--pairs", "64", "--max-seconds", "5"],
    ] {
      let c = try configuration(options)
      #expect(
        c.optimizer.kind == .muon && c.optimizer.momentum == 0.95 && c.optimizer.weightDecay == 0.01
          && c.optimizer.tableRate == 1)
      #expect(
        c.optimizer.schedule != .constant
          && c.optimizer.learningRate == (c.estimator.pairs == 64 ? 0.02 : 0.04))
    }
  }

  /// What it was not measured with: longer runs, no end, other credit, a readout that is estimated too.
  @Test(arguments: [
    ["data", "--max-steps", "16001"], ["data", "--max-tokens", "33M"], ["data", "--max-seconds", "61"],
    ["data"],
    ["-"], ["-", "--max-steps", "5"], ["data", "--lifetime", "2", "--max-steps", "5"],
    ["data", "--window", "context", "--max-steps", "5"],
    ["data", "--readout", "zo", "--max-steps", "5"], ["data", "--lr", "auto", "--max-steps", "5"],
    ["data", "--lr-schedule", "constant", "--max-steps", "5"],
    ["data", "--optimizer", "adam", "--max-steps", "5"],
  ])
  func elsewhereTheyKeepAdam(options: [String]) throws {
    let c = try configuration(options)
    #expect(
      c.optimizer.kind == .adam && c.optimizer.momentum == 0.9 && c.optimizer.weightDecay == 0
        && c.optimizer.schedule == .constant)
    #expect(c.optimizer.learningRate == 0.01 * (Double(c.estimator.pairs) / 256).squareRoot())
  }

  @Test func weightsInPlaceKeepTheirPlainSteps() throws {
    let command = try #require(
      try LongzooCommand.parseAsRoot(["train", "data", "--regime", "inplace"]) as? TrainCommand)
    var c = try command.plan(over: nil)
    _ = try c.chooseRegime()
    #expect(
      c.optimizer.kind == .sgd && c.optimizer.momentum == 0 && c.optimizer.weightDecay == 0
        && c.optimizer.schedule == .constant)
    #expect(c.optimizer.learningRate == 0.1)
  }

  @Test func aRateFallsOnlyToAnEndThatIsKnown() throws {
    for estimator in ["tbptt", "hybrid"] {
      let endless = ["-", "--estimator", estimator]
      let constant = try configuration(endless)
      #expect(constant.optimizer.schedule == .constant, "\(estimator)")
      for limit in ["--max-steps", "--max-tokens", "--max-seconds"] {
        let c = try configuration(endless + [limit, "100"])
        #expect(
          c.optimizer.schedule == .cosine && c.optimizer.learningRate > constant.optimizer.learningRate,
          "\(estimator) \(limit)")
      }
      #expect(try configuration(["data", "--estimator", estimator]).optimizer.schedule == .cosine)
      #expect(
        try configuration(["data", "--estimator", estimator, "--lr", "auto"]).optimizer.schedule == .constant)
    }
  }

  @Test func theRateIsThatOfThePairs() throws {
    #expect(try configuration(["-", "--pairs", "64"]).optimizer.learningRate == 0.005)
    #expect(
      try configuration(["data", "--estimator", "node", "--pairs", "1024"]).optimizer.learningRate == 0.008)
  }

  @Test func whatIsGivenWins() throws {
    let c = try configuration([
      "data", "--estimator", "tbptt", "--optimizer", "adam", "--lr", "0.004", "--lr-schedule", "linear",
      "--weight-decay", "0",
      "--table-rate", "1", "--momentum", "0.8", "--context", "5k",
    ])
    #expect(
      c.optimizer.kind == .adam && c.optimizer.learningRate == 0.004 && c.optimizer.schedule == .linear
        && c.optimizer.weightDecay == 0)
    #expect(c.optimizer.tableRate == 1 && c.optimizer.momentum == 0.8 && c.streaming.context == 5000)
  }

  @Test func whatDependsFollowsTheOptimizerThatIsGiven() throws {
    let adam = try configuration(["data", "--estimator", "tbptt", "--optimizer", "adam"])
    #expect(
      adam.optimizer.momentum == 0.9 && adam.optimizer.learningRate == 0.02
        && adam.optimizer.weightDecay == 0.1 && adam.optimizer.tableRate == 3)
    let whole = try configuration(["data", "--estimator", "bptt", "--optimizer", "adam"])
    #expect(
      whole.optimizer.learningRate == 0.005 && whole.optimizer.schedule == .constant
        && whole.optimizer.weightDecay == 0)
    #expect(whole.optimizer.tableRate == 1)
    for estimator in ["cd-rge", "tbptt"] {
      let sgd = try configuration(["data", "--estimator", estimator, "--optimizer", "sgd"])
      #expect(
        sgd.optimizer.momentum == 0.9 && sgd.optimizer.learningRate == 0.1 && sgd.optimizer.weightDecay == 0
          && sgd.optimizer.tableRate == 1)
      #expect(sgd.optimizer.schedule == .constant, "\(estimator)")
    }
    let muon = try configuration(["data", "--estimator", "node", "--optimizer", "muon"])
    #expect(
      muon.optimizer.momentum == 0.95 && muon.optimizer.weightDecay == 0
        && muon.optimizer.schedule == .constant)
  }
}
