import Foundation
import LongzooMemory
import LongzooTraining

/// `config.json` as options of train: what differs between runs, and the command line that makes a run again.
enum RunOptionText {
  /// By key, what the plan's table calls it.
  private static let settings = Dictionary(
    uniqueKeysWithValues: RunPlan.entries.compactMap { entry in entry.setting.map { (entry.key, $0) } })
  /// Data, which is no option.
  static let paths = "paths"
  /// Options that may be auto, and where that is said.
  static let searches = ["learningRate": "searchesRate", "epsilon": "searchesEpsilon"]
  /// What follows from other options.
  static let derived: Set<String> = [
    "checkpointingBudget", "identity", "readsNamedPipe", "tokensBeforeData",
  ]

  static func name(_ key: String) -> String {
    let told = searches.first { $0.value == key }?.key ?? key
    return String((settings[told] ?? Setting(told)).option.dropFirst(2))
  }

  /// What a table calls it.
  static func label(_ key: String) -> String { key == paths ? "data" : "--" + name(key) }

  /// As it is given on the command line. An enumeration with a value, such as a window, is `{"tokens":{"_0":8}}`.
  static func value(_ value: JSONValue) -> String {
    switch value {
    case .null: return "none"
    case .bool(let bool): return "\(bool)"
    case .integer(let integer): return "\(integer)"
    case .unsigned(let integer): return "\(integer)"
    case .number(let number): return "\(number)"
    case .text(let text): return text
    case .array(let values): return values.map(Self.value).joined(separator: " ")
    case .object(let object):
      guard object.count == 1, let (name, inner) = object.first else {
        return object.sorted { $0.key < $1.key }.map { "\($0.key) \(Self.value($0.value))" }.joined(
          separator: ", ")
      }
      return inner.object?["_0"].map(Self.value) ?? name
    }
  }

  /// The keys that do not have one and the same value in all runs, in their order.
  static func differing(_ runs: [RunRecord]) -> [String] {
    let known = runs.map(\.configuration).filter { !$0.isEmpty }
    return keys(runs).filter { key in Set(known.map { $0[key].map(value) ?? "" }).count > 1 }
  }

  static func keys(_ runs: [RunRecord]) -> [String] {
    Set(runs.flatMap(\.configuration.keys)).subtracting(derived).sorted { name($0) < name($1) }
  }
}
