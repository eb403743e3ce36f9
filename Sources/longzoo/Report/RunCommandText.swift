import Foundation
import LongzooTraining

/// The command line that makes a run again.
///
/// Defaults depend on other options: what has to be said is found by asking `train` what it would make of the options so far,
/// and by adding the first one that is then not what it was, until nothing is missing.
struct RunCommandText {
  /// Options that other defaults depend on come first.
  private static let order = [
    "estimator", "step", "optimizer", "readout", "perturbation", "reset", "maxSteps", "maxTokens",
    "maxSeconds",
    "searchesRate", "searchesEpsilon", "pairs", "streams", "context", "window", "schedule",
  ]
  /// Said in any case: they depend on the machine, or are what people look for.
  private static let alwaysGiven = ["learningRate", "streams", "valFraction", "seed", "threads"]
  /// What a missing value means where it is not the default.
  private static let absent = ["tableRate": JSONValue.integer(1)]

  private let wanted: [String: JSONValue]
  private let isAuto: Set<String>
  private let paths: [String]

  /// `longzoo train …`; nil without a configuration.
  static func command(_ configuration: [String: JSONValue]) -> String? {
    configuration.isEmpty ? nil : ShellText.command(RunCommandText(configuration).words)
  }

  private init(_ configuration: [String: JSONValue]) {
    var wanted = configuration
    if case .array(let files) = configuration[RunOptionText.paths] {
      paths = files.map(RunOptionText.value)
    } else {
      paths = []
    }
    isAuto = Set(RunOptionText.searches.filter { configuration[$0.value] == .bool(true) }.map(\.key))
    for key in RunOptionText.derived.union([RunOptionText.paths]).union(RunOptionText.searches.values) {
      wanted[key] = nil
    }
    self.wanted = wanted
  }

  private var words: [String] {
    let options = completed() ?? unlike(Self.encoded(RunPlan()) ?? [:]).flatMap(option)
    let given = Self.alwaysGiven.filter { wanted[$0] != nil && !isSaid($0, in: options) }
    let data = paths.contains { $0.hasPrefix("-") && $0 != "-" } ? ["--"] + paths : paths
    return ["longzoo", "train"] + options + given.flatMap(option) + data
  }

  /// Options enough for `train` to make the same configuration of them; nil where it cannot: it is one of another version.
  private func completed() -> [String]? {
    var options = first
    for _ in 0...wanted.count {
      guard let made = Self.made(of: options, wanted["regime"], paths) else { return nil }
      let missing = unlike(made).filter { !isSaid($0, in: options) }
      guard let next = Self.order.first(where: missing.contains) ?? missing.first else { return options }
      options += option(next)
    }
    return options
  }

  /// What `train` must be told for its defaults to be those of the run, or to have any.
  private var first: [String] {
    var keys = isAuto.sorted()
    if wanted["dtype"] != .text("u8") { keys += ["dtype", "vocabularySize"] }
    let inPlace = wanted["regime"] == .text("inplace") ? ["--regime", "inplace"] : []
    return inPlace + keys.filter { wanted[$0] != nil }.flatMap(option)
  }

  /// The keys whose values are not these, in the order in which they are said.
  private func unlike(_ other: [String: JSONValue]) -> [String] {
    Set(wanted.keys).union(Self.absent.keys).sorted().filter { key in
      guard !isAuto.contains(key), let value = value(key) else { return false }
      return (other[key] ?? Self.absent[key]) != value
    }
  }

  private func value(_ key: String) -> JSONValue? {
    if let value = wanted[key], value != .null { return value }
    // An incomplete configuration says nothing of it.
    return wanted["tableRate"] == nil && wanted["optimizer"] == nil ? nil : Self.absent[key]
  }

  private func option(_ key: String) -> [String] {
    let name = "--" + RunOptionText.name(key)
    if isAuto.contains(key) { return [name, "auto"] }
    guard let value = value(key), value != .bool(false) else { return [] }
    return value == .bool(true) ? [name] : [name, RunOptionText.value(value)]
  }

  private func isSaid(_ key: String, in options: [String]) -> Bool {
    options.contains("--" + RunOptionText.name(key))
  }

  /// What `train` makes of these options, on this machine.
  private static func made(of options: [String], _ regime: JSONValue?, _ paths: [String]) -> [String:
    JSONValue]?
  {
    // What is not said is never found out from the machine's memory, which would ask for the data.
    let shared = regime == .text("inplace") ? [] : ["--regime", "shared"]
    let data = paths.isEmpty ? ["/dev/null"] : paths
    guard let command = try? TrainCommand.parse(["--quiet"] + shared + options + ["--"] + data),
      var plan = try? command.plan(over: nil)
    else { return nil }
    _ = try? plan.chooseRegime()
    return encoded(plan)
  }

  private static func encoded(_ configuration: RunPlan) -> [String: JSONValue]? {
    JSONValue.object(in: try? JSONEncoder().encode(configuration))
  }
}
