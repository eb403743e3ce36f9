import ArgumentParser
import LongzooEstimator
import LongzooTraining

/// A way to train, and the options of train that choose it.
enum CompareMethod: String, CaseIterable, ExpressibleByArgument {
  case cdRGE = "cd-rge"
  case bptt
  case bpttSqrt = "bptt-sqrt"
  case bpttBinomial = "bptt-binomial"
  case tbptt
  case jvp, nres, pes
  case fdRGE = "fd-rge"
  case node
  case hybrid

  /// One update sees all of its context: fewer updates, each the longer the longer the context.
  var updatesOnceAContext: Bool {
    switch self {
    case .bptt, .bpttSqrt, .bpttBinomial: return true
    case .cdRGE, .fdRGE, .jvp, .nres, .pes, .node, .tbptt, .hybrid: return false
    }
  }

  /// What is compared where nobody says: one of each family.
  static let usual: [CompareMethod] = [.cdRGE, .bptt, .bpttSqrt, .bpttBinomial, .tbptt, .hybrid]

  /// Its place among all methods: the same color in every plot.
  var index: Int { Self.allCases.firstIndex(of: self)! }

  /// Tokens of a stream between updates.
  func window(_ settings: CompareSettings, context: Int) -> Int {
    switch self {
    case .cdRGE, .fdRGE, .jvp, .nres, .pes, .node:
      min(context, settings.window ?? EstimatorFamily.standard.defaults.window.tokens ?? 8)
    case .tbptt, .hybrid: min(context, settings.window ?? EstimatorFamily.truncation)
    case .bptt, .bpttSqrt, .bpttBinomial: context
    }
  }

  /// Columns that a token of a stream goes through.
  func columnsPerToken(_ settings: CompareSettings) -> Int {
    switch self {
    case .cdRGE, .jvp, .nres, .pes, .node: max(1, 2 * settings.pairs / settings.streams)
    case .fdRGE: max(1, FDRGE.columns(pairs: settings.pairs, streams: settings.streams) / settings.streams)
    case .bptt, .bpttSqrt, .bpttBinomial, .tbptt: 1
    case .hybrid: 1 + 2 * settings.pairs / settings.streams
    }
  }

  func options(_ settings: CompareSettings) -> [String] {
    switch self {
    case .cdRGE, .fdRGE, .jvp, .nres, .pes, .node, .hybrid:
      return ["--estimator", rawValue, "--pairs", "\(settings.pairs)"] + settings.windowOption
    case .tbptt: return ["--estimator", "tbptt"] + settings.windowOption
    case .bptt: return wholeContext(checkpointing: "none")
    case .bpttSqrt: return wholeContext(checkpointing: "sqrt")
    case .bpttBinomial:
      return wholeContext(checkpointing: "binomial") + ["--memory-budget", "\(settings.budget)"]
    }
  }

  private func wholeContext(checkpointing: String) -> [String] {
    ["--estimator", "bptt", "--checkpointing", checkpointing, "--window", "context"]
  }
}

/// What all cells of a comparison have in common.
struct CompareSettings {
  static let defaultBudget = 64 << 20

  var paths: [String] = []
  /// Options that say how the data is to be read.
  var data: [String] = []
  var contexts: [Int]
  var methods: [CompareMethod]
  var hiddenSize: Int
  var layers: Int
  var pairs: Int
  var streams: Int
  var window: Int?
  var budget: Int
  /// Of training in a cell.
  var seconds: Double
  /// Updates after which losses are compared.
  var steps: Int
  /// Token-columns, over all streams, after which losses are compared.
  var tokenColumns = 200_000
  /// Of measuring a cosine with the exact gradient; what would take longer is left out. 0: none are measured.
  var cosineSeconds = 10.0
  var evalTokens: Int
  var seed: UInt64
  var threads: Int?
  /// Wall seconds for all cells together.
  var limit: Double

  /// Of the methods that update within a context.
  var windowOption: [String] { window.map { ["--window", "\($0)"] } ?? [] }

  /// The options of train that do not depend on the method.
  var common: [String] {
    data + ["--hidden-size", "\(hiddenSize)", "--layers", "\(layers)", "--streams", "\(streams)"]
      + ["--seed", "\(seed)", "--eval-tokens", "\(evalTokens)", "--eval-interval", "0"]
      + (threads.map { ["--threads", "\($0)"] } ?? [])
  }

  /// That of a run of train with the common options and these.
  func plan(_ options: [String]) throws -> RunPlan {
    let arguments = common + options + paths
    guard let command = try LongzooCommand.parseAsRoot(["train"] + arguments) as? TrainCommand else {
      preconditionFailure("train is no command")
    }
    let plan = try command.plan(over: nil)
    try plan.validate()
    return plan
  }
}
