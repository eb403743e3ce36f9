import ArgumentParser
import Foundation
import LongzooEstimator
import Testing

@testable import LongzooTraining
@testable import longzoo

/// Numbers as large, as small and as odd as a person can type them: a sentence with exit code 64, or a run.
@Suite struct OptionExtremeTests {
  private static let most = "\(Int.max)"
  private static let estimators = EstimatorFamily.all

  private let folder = TestFolder()
  private let data: String

  init() { data = folder.put("data", Sample.tokens(2000)) }

  /// What an estimator's options are where nobody says.
  private func configuration(_ estimator: EstimatorFamily) throws -> RunPlan {
    let arguments = ["train", "--quiet", "--threads", "1", "--estimator", estimator.name, data]
    let command = try #require(try LongzooCommand.parseAsRoot(arguments) as? TrainCommand)
    return try command.plan(over: nil)
  }

  /// Whether a run can be planned; otherwise it is refused in words.
  private func plans(_ c: RunPlan, _ what: String) throws -> Bool {
    do {
      try c.validate()
      try c.validateSettled()
      #expect(try MemoryPlan.table(for: c).total > 0, "\(what)")
      // What a run counts before its first update.
      let limits = RunLimits(c, trainingTokens: 2000)
      _ = (
        limits.totalTokens, limits.left(RunProgress(), tokens: 0), limits.part(RunProgress(), tokens: 0)
      )
      _ = EvaluationRhythm(c, limits, heldOutTokens: 200, seconds: 0)
      _ = c.staggeredContexts.map { $0.streams(beginningAt: 0) }
      return true
    } catch let failure as RunFailure {
      #expect([64, 65, 66].contains(failure.exitCode) && failure.message.count > 20, "\(what): \(failure)")
      return false
    } catch {
      // What is wrong with the data is said by those who read it.
      #expect(!"\(error)".isEmpty, "\(what)")
      return false
    }
  }

  @Test(arguments: estimators) func everyNumberAlone(estimator: EstimatorFamily) throws {
    var base = try configuration(estimator)
    base.data.expectTokens = 2000
    base.limits.maxSteps = 3
    base.limits.maxTokens = 300
    base.run.lossWindows = 5
    base.run.logInterval = 1
    base.model.memorySpan = 10
    base.run.memoryBudget = 1 << 30
    base.estimator.checkpointingBudget = 1 << 20
    base.run.saveInterval = .updates(5)
    base.estimator.checkpointing = .every(4)
    base.optimizer.tableRate = 1
    base.model.tokenScale = 1
    base.estimator.creditDecay = 0.5
    base.limits.maxSeconds = 5
    base.estimator.rank = 2
    let object = try JSONSerialization.jsonObject(with: JSONEncoder().encode(base)) as? [String: Any] ?? [:]
    var planned = 0
    for (field, value, changed) in Extreme.changes(of: object) {
      let json = try JSONSerialization.data(withJSONObject: changed)
      guard let c = try? JSONDecoder().decode(RunPlan.self, from: json) else { continue }
      if try plans(c, "\(field) \(value)") { planned += 1 }
    }
    #expect(planned > 100, "\(planned)")
    for real in [Double.nan, .infinity, -.infinity, 1e-320, 1e300] {
      for path in [
        \RunPlan.data.holdoutFraction, \.estimator.epsilon, \.estimator.clipNorm,
        \.estimator.maxDivergence, \.estimator.beyondMomentum, \.optimizer.learningRate,
        \.optimizer.momentum, \.optimizer.beta2, \.optimizer.weightDecay,
      ] {
        var c = base
        c[keyPath: path] = real
        let isPlanned = try plans(c, "\(path) \(real)")
        #expect(!isPlanned || (real > 0 && real < 1), "\(path) \(real)")
      }
    }
  }

  /// Sizes whose product is too large although each of them is not.
  @Test(arguments: estimators) func sizesTogether(estimator: EstimatorFamily) throws {
    var base = try configuration(estimator)
    base.streaming.reset = .together
    let changes: [(String, (inout RunPlan) -> Void)] = [
      ("H 2^24", { ($0.model.hiddenSize, $0.model.heads) = (1 << 24, 1 << 8) }),
      ("H 2^20", { ($0.model.hiddenSize, $0.model.heads) = (1 << 20, 1 << 20) }),
      ("V 2^24", { ($0.data.vocabularySize, $0.data.tokenType) = (1 << 24, .u32) }),
      ("V 2^16", { ($0.data.vocabularySize, $0.data.tokenType) = (1 << 16, .u16) }),
      ("L 16", { $0.model.layers = 16 }), ("P 2^20", { $0.estimator.pairs = 1 << 20 }),
      ("S 2^20", { ($0.estimator.pairs, $0.streaming.streams) = (1 << 20, 1 << 20) }),
      ("threads", { $0.run.threads = 1024 }),
      ("rank", { $0.estimator.rank = 64 }), ("signs", { $0.estimator.perturbation = .rademacher }),
      ("normal", { $0.estimator.perturbation = .gaussian }),
      ("K 2^62", { $0.streaming.window = .tokens(1 << 62) }),
      ("K most", { $0.streaming.window = .tokens(.max) }),
      ("K 10^12", { $0.streaming.window = .tokens(1_000_000_000_000) }),
      ("K 65535", { $0.streaming.window = .tokens(65535) }),
      ("K = T", { $0.streaming.window = .context }), ("T most", { $0.streaming.context = .max }),
      ("T 2^62", { $0.streaming.context = 1 << 62 }),
      ("sqrt", { $0.estimator.checkpointing = .sqrt }),
      ("segments", { $0.estimator.checkpointing = .every(.max) }),
      (
        "binomial",
        {
          ($0.estimator.checkpointing, $0.run.memoryBudget, $0.estimator.checkpointingBudget) = (
            .binomial, .max, .max
          )
        }
      ),
      (
        "nothing",
        {
          ($0.estimator.checkpointing, $0.run.memoryBudget, $0.estimator.checkpointingBudget) = (
            .binomial, 0, 0
          )
        }
      ),
      ("rate", { $0.optimizer.searchesRate = true }), ("eps", { $0.estimator.searchesEpsilon = true }),
      ("log", { ($0.run.replayLog, $0.estimator.readout) = (true, .zo) }),
    ]
    for (index, first) in changes.enumerated() {
      for (other, second) in changes.enumerated().dropFirst(index + 1) {
        for third in changes.dropFirst(other + 1) {
          var c = base
          for change in [first, second, third] { change.1(&c) }
          _ = try plans(c, "\(first.0), \(second.0), \(third.0)")
        }
      }
    }
    var all = base
    for change in changes { change.1(&all) }
    #expect(try !plans(all, "all"))
  }

  /// "For ever" is a number too: what cannot be refused runs.
  @Test func veryLargeNumbersRun() throws {
    let runs = Runs("--max-steps", "3")
    let path = runs.folder.put("data", Sample.tokens(2000))
    let never = [
      "--context", Self.most, "--max-tokens", Self.most, "--loss-windows", Self.most, "--eval-interval",
      Self.most,
      "--eval-tokens", Self.most, "--log-interval", Self.most, "--save-interval", Self.most, "--warmup",
      Self.most,
      "--max-seconds", "1e300", "--memory-span", Self.most, "--memory-budget", Self.most,
    ]
    for more in [
      [], ["--estimator", "hybrid"], ["--lr-schedule", "cosine"], ["--lr", "auto"], ["--window", "100"],
    ] {
      #expect(try runs.train(arguments: never + more + [path]).steps == 3, "\(more)")
    }
  }

  @Test func windowsTooLongAreRefusedInWords() throws {
    let runs = Runs("--estimator", "hybrid")
    let path = runs.folder.put("data", Sample.tokens(2000))
    for options in [
      ["--window", "4611686018427387904"], ["--window", "100000000000"],
      ["--window", "context", "--context", "4611686018427387904"],
    ] { try runs.fail(64, options + [path], mentions: ["--window"]) }
    // A segment longer than the window is the window.
    let whole = try runs.train("--max-steps", "2", path)
    #expect(try runs.train("--max-steps", "2", "--checkpointing", Self.most, path).digest == whole.digest)
  }
}
