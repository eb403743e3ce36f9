import Foundation
import LongzooMemory
import LongzooTraining

/// Where options come from: the command line wins over the environment, which wins over the file of `--config`.
struct ArgumentLayers {
  /// An argument that nobody typed, and what it comes from: a variable, or a key of a file.
  struct Layered {
    var argument: String
    var source: String
  }

  /// All arguments, those that win last.
  let arguments: [String]
  let layered: [Layered]
  /// What a file of options says of the data, which is no option.
  let data: [String]

  static let none = ArgumentLayers()

  /// `LONGZOO_HIDDEN_SIZE=64` is `--hidden-size 64`, for the commands that know the option.
  static let prefix = "LONGZOO_"
  /// Variables that are no options.
  static let reserved: Set<String> = [
    "LONGZOO_CORPORA", "LONGZOO_BINARY", "LONGZOO_LONG_TESTS", ParentWatch.variable,
  ]
  /// Options that stand alone; elsewhere than on the command line they have a truth value.
  static let flags: Set = ["dry-run", "json", "quiet", "replay-log", "overwrite", "new-data", "empty-memory"]

  /// - Parameter given: the command line, without the program's name.
  /// - Throws: exit codes 64 to 66 for what cannot be read of a variable or a file.
  init(_ given: [String], environment: [String: String]) throws {
    let typed = TypedArguments.normalized(given)
    guard typed.first == "train" else {
      (arguments, layered, data) = (typed, [], [])
      return
    }
    let variables = try Self.variables(environment)
    let known = variables.map(\.argument) + typed
    let file = try TypedArguments.value(of: "--config", in: known).map(Self.file) ?? (options: [], data: [])
    layered = file.options + variables
    data = file.data
    let below = layered.map(\.argument)
    arguments = ["train"] + below + (try Self.withResumePath(Array(typed.dropFirst()), below: below))
  }

  private init() { (arguments, layered, data) = ([], [], []) }

  /// Where the options come from that a sentence names and nobody typed: `--pairs is that of LONGZOO_PAIRS`.
  func sources(of sentence: String) -> [String] {
    var result: [String] = []
    for one in layered {
      let option = one.argument.prefix { $0 != "=" }
      let last = arguments.last { $0 == option || $0.hasPrefix(option + "=") }
      guard last == one.argument, sentence.contains(option: option), !sentence.contains(one.source) else {
        continue
      }
      result.append("\(option) is that of \(one.source)")
    }
    return result
  }

  /// `--resume` without a path means the folder of --out-dir; `-` is never a folder, but data.
  private static func withResumePath(_ arguments: [String], below: [String]) throws -> [String] {
    guard let index = TypedArguments.options(of: arguments).firstIndex(of: "--resume"),
      index + 1 == arguments.count || arguments[index + 1].hasPrefix("--") || arguments[index + 1] == "-"
    else { return arguments }
    guard let folder = TypedArguments.value(of: "--out-dir", in: below + arguments) else {
      throw RunFailure.usage("--resume alone goes on in the folder of --out-dir: give that, or --resume PATH")
    }
    var result = arguments
    result[index] = "--resume=" + folder
    return result
  }

  /// An empty variable is none.
  private static func variables(_ environment: [String: String]) throws -> [Layered] {
    try environment
      .filter { $0.key.hasPrefix(prefix) && !reserved.contains($0.key) && !$0.value.isEmpty }
      .sorted { $0.key < $1.key }
      .compactMap { variable, value in
        let name = variable.dropFirst(prefix.count).lowercased().replacingOccurrences(of: "_", with: "-")
        return try option(name, value, from: variable)
      }
  }

  /// One argument, so that a value may begin with a hyphen; nil for a flag that is off.
  private static func option(_ name: String, _ value: String, from source: String) throws -> Layered? {
    guard flags.contains(name) else { return Layered(argument: "--\(name)=\(value)", source: source) }
    switch value.lowercased() {
    case "1", "true", "yes", "on": return Layered(argument: "--" + name, source: source)
    case "0", "false", "no", "off": return nil
    default: throw RunFailure.usage("\(source) is \"\(value)\"; --\(name) is either true or false")
    }
  }

  private static func file(_ path: String) throws -> (options: [Layered], data: [String]) {
    let file = try ConfigFile(path: path)
    let options = try file.options.compactMap { key, value in
      try option(key.replacingOccurrences(of: "_", with: "-"), value, from: "\"\(key)\" in \(path)")
    }
    return (options, file.data)
  }
}

/// The arguments as people type them, brought into the form that the parser knows.
enum TypedArguments {
  /// Everything before `--`; what follows it are names of files, whatever they look like.
  static func options(of arguments: [String]) -> ArraySlice<String> {
    arguments[..<(arguments.firstIndex(of: "--") ?? arguments.count)]
  }

  /// `--max_steps` is `--max-steps`, and `--lr -1` is `--lr=-1`: no option begins with a digit.
  static func normalized(_ arguments: [String]) -> [String] {
    let options = options(of: arguments)
    var result: [String] = []
    for argument in options.map(withHyphens) {
      if isNegative(argument), let name = result.last, name.hasPrefix("--"), !name.contains("="),
        !ArgumentLayers.flags.contains(String(name.dropFirst(2)))
      {
        result[result.count - 1] = name + "=" + argument
      } else {
        result.append(argument)
      }
    }
    return result + arguments[options.endIndex...]
  }

  /// The last value given for an option, as `--name value` or `--name=value`.
  static func value(of name: String, in arguments: [String]) -> String? {
    let options = options(of: arguments)
    for (index, argument) in options.enumerated().reversed() {
      if argument == name, index + 1 < options.count { return options[index + 1] }
      if argument.hasPrefix(name + "=") { return String(argument.dropFirst(name.count + 1)) }
    }
    return nil
  }

  /// Underscores of a name; those of its value, which follows `=`, stay.
  private static func withHyphens(_ argument: String) -> String {
    guard argument.hasPrefix("--") else { return argument }
    let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let name = parts[0].replacingOccurrences(of: "_", with: "-")
    return parts.count == 2 ? name + "=" + parts[1] : name
  }

  private static func isNegative(_ argument: String) -> Bool {
    guard argument.first == "-" else { return false }
    let rest = argument.dropFirst()
    return rest.first.map { $0.isASCII && $0.isNumber || $0 == "." } == true || ["inf", "nan"].contains(rest)
  }
}

extension String {
  /// Whether the option is named: `--eps` is not in "--eps-decay 3".
  fileprivate func contains(option: Substring) -> Bool {
    ranges(of: option).contains { range in
      guard range.upperBound < endIndex else { return true }
      let next = self[range.upperBound]
      return !next.isLetter && next != "-"
    }
  }
}
