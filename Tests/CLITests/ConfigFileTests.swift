import Foundation
import LongzooEstimator
import LongzooMemory
import Testing

@testable import LongzooTraining
@testable import longzoo

/// `config.yaml`, which a run writes and `--config` reads.
@Suite struct ConfigFileTests {
  private let runs = Runs()

  private func plan(_ arguments: [String]) throws -> RunPlan {
    let layers = try ArgumentLayers(arguments, environment: [:])
    var command = try #require(try LongzooCommand.parseAsRoot(layers.arguments) as? TrainCommand)
    if command.paths.isEmpty { command.paths = layers.data }
    var plan = try command.plan(over: nil)
    _ = try plan.chooseRegime()
    return plan
  }

  @Test(
    arguments: EstimatorFamily.all.map { ["--estimator", $0.name, "--context", "500"] } + [
      ["--regime", "inplace"], ["--optimizer", "sgd"], ["--lr", "auto", "--eps", "auto"],
      ["--seed", "18446744073709551615", "--lr", "1e-5"], ["--save-interval", "never"],
      ["--estimator", "bptt", "--checkpointing", "binomial", "--memory-budget", "1GiB"],
      ["--replay-log", "--readout", "zo"], ["--epochs", "0.25"], ["--targets", "marked"],
    ]) func theFileMakesTheSamePlan(options: [String]) throws
  {
    let data = runs.folder.put("a \"b\": {c}", Sample.tokens(3000))
    var plan = try plan(["train", "--threads", "1"] + options + [data])
    let file = runs.folder.put("config.yaml", Array(ConfigFile.text(plan).utf8))
    var again = try self.plan(["train", "--config", file])
    #expect(plan.run.identity != again.run.identity)
    (plan.run.identity, again.run.identity) = (nil, nil)
    #expect(plan == again)
  }

  @Test func theCommandLineWins() throws {
    let file = runs.folder.put(
      "c.yaml",
      Array("# mine\ndata: [\(runs.folder("x"))]\npairs: 32\nhidden_size: 16\nreplay-log: false\n".utf8))
    _ = runs.folder.put("y", Sample.tokens(3000))
    let plan = try plan(["train", "--config", file, "--pairs", "64", runs.folder("y")])
    #expect(plan.estimator.pairs == 64 && plan.model.hiddenSize == 16 && !plan.run.replayLog)
    #expect(plan.data.paths == [runs.folder("y")])
  }

  @Test func whatIsNoListOfOptionsIsRefused() throws {
    for (text, mentions) in [
      ("[1, 2]", "no list of option names"), ("pairs: [1]", "\"pairs\""), ("data: {a: 1}", "\"data\""),
      ("a: 'b", "neither YAML nor JSON"), ("pairs: 1\npairs: 2", "neither YAML nor JSON"),
    ] {
      let file = runs.folder.put("bad.yaml", Array(text.utf8))
      let error = failure { _ = try ConfigFile(path: file) }
      #expect(error?.exitCode == 65 && error?.message.contains(mentions) == true, "\(text): \(error as Any)")
    }
    #expect(failure { _ = try ConfigFile(path: runs.folder("none")) }?.exitCode == 66)
    let empty = runs.folder.put("empty", [])
    #expect(failure { _ = try ConfigFile(path: empty) }?.exitCode == 65)
  }
}
