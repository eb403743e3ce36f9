import Foundation
import LongzooTraining

/// `config.json` as options of train: what differs between runs, and the command line that makes a run again.
enum RunOptionText {
  /// Options whose names are not those of the configuration with hyphens.
  private static let names = [
    "learningRate": "lr", "epsilon": "eps", "schedule": "lr-schedule", "vocabularySize": "vocab-size",
    "valPath": "val", "initialWeights": "init", "searchesRate": "lr",
    "searchesEpsilon": "eps", "products": "rank",
  ]
  /// Data, which is no option.
  static let paths = "paths"
  /// Options that may be auto, and where that is said.
  static let searches = ["learningRate": "searchesRate", "epsilon": "searchesEpsilon"]
  /// What follows from other options.
  static let derived: Set<String> = [
    "checkpointingBudget", "identity", "readsNamedPipe", "tokensBeforeData",
  ]

  static func name(_ key: String) -> String {
    if let name = names[key] { return name }
    var out = ""
    for character in key {
      out += character.isUppercase ? "-" + character.lowercased() : String(character)
    }
    return out
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
