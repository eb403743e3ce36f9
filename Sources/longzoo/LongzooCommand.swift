import ArgumentParser
import Foundation
import Memory
import Model
import Stream

@main
struct LongzooCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "longzoo",
    abstract:
      "Trains recurrent networks on token streams of any length, in memory that does not depend on the length.",
    version: "0.1.0",
    subcommands: [
      TrainCommand.self, EvalCommand.self, BenchCommand.self, CompareCommand.self, ReportCommand.self,
      TaskCommand.self, ReplayCommand.self,
    ])

  static func main() {
    StandardStreams.fillClosed()
    Signals.install()
    ParentWatch.begin()
    var arguments = CommandLine.arguments
    do {
      try AddressSpace.requireSlack()
      try ArgumentBytes.requireUTF8()
      arguments = try ArgumentLayers.arguments()
      var command = try parseAsRoot(arguments)
      try command.run()
    } catch let failure as RunFailure {
      end(failure.message, details: failure.details, code: failure.exitCode)
    } catch let error as StreamError where error.code == .interrupted {
      Foundation.exit(ExitStatus.signal(Signals.received ?? SIGTERM))
    } catch let error as StreamError {
      // A refused reservation is no fault of the data.
      guard error.code != .memory else { endWithTable(error.description, code: ExitStatus.usage) }
      end(error.description, code: error.exitCode)
    } catch let error as MemoryError {
      endWithTable(error.description, code: error.isOfTheSystem ? ExitStatus.inputOutput : ExitStatus.usage)
    } catch let refusal as SystemRefusal {
      end(refusal.description, code: ExitStatus.inputOutput)
    } catch {
      end(error, given: arguments)
    }
  }

  private static func end(_ message: String, details: String? = nil, code: Int32) -> Never {
    fflush(nil)
    StandardStreams.tellFailure(message, details: details)
    Foundation.exit(code)
  }

  /// The first line, and the ledger's table below it.
  private static func endWithTable(_ text: String, code: Int32) -> Never {
    let parts = text.split(separator: ":\n", maxSplits: 1).map(String.init)
    end(parts[0], details: parts.count > 1 ? parts[1] : nil, code: code)
  }

  /// What the parser has to say: help on standard output, or what is wrong with an argument, which is quoted in it.
  private static func end(_ error: any Error, given arguments: [String]) -> Never {
    let code = exitCode(for: error)
    var text = fullMessage(for: error)
    for argument in arguments {
      for part in [argument] + argument.split(whereSeparator: { "=,".contains($0) }).map(String.init) {
        text = text.replacingOccurrences(of: part, with: TerminalText.line(part))
      }
    }
    if !text.isEmpty {
      if code.isSuccess {
        try? StandardStreams.printResult(text)
      } else {
        fflush(nil)
        StandardStreams.tell(text + "\n")
      }
    }
    Foundation.exit(code.rawValue)
  }
}

/// Where options come from: the command line wins over the environment, which wins over the file of `--config`.
enum ArgumentLayers {
  /// `LONGZOO_HIDDEN_SIZE=64` is `--hidden-size 64`, for the commands that know the option.
  static let prefix = "LONGZOO_"
  /// Variables that are no options.
  static let reserved: Set<String> = [
    "LONGZOO_CORPORA", "LONGZOO_BINARY", "LONGZOO_LONG_TESTS", ParentWatch.variable,
  ]

  static func arguments() throws -> [String] {
    let given = CommandLine.arguments.dropFirst().map(withHyphens)
    guard given.first == "train" else { return given }
    let environment = try environmentArguments()
    let fromFile = try value(of: "--config", in: environment + given).map(fileArguments) ?? []
    let below = fromFile + environment
    return ["train"] + below + (try withResumePath(Array(given.dropFirst()), below: below))
  }

  /// `--resume` without a path means the folder of --out-dir; `-` is never a folder, but data.
  private static func withResumePath(_ arguments: [String], below: [String]) throws -> [String] {
    guard let index = arguments.firstIndex(of: "--resume"),
      index + 1 == arguments.count || arguments[index + 1].hasPrefix("--") || arguments[index + 1] == "-"
    else { return arguments }
    guard let folder = value(of: "--out-dir", in: below + arguments) else {
      throw RunFailure.usage("--resume alone goes on in the folder of --out-dir: give that, or --resume PATH")
    }
    var result = arguments
    result[index] = "--resume=" + folder
    return result
  }

  /// `--max_steps` is `--max-steps`; what stands behind `=` is left alone.
  private static func withHyphens(_ argument: String) -> String {
    guard argument.hasPrefix("--") else { return argument }
    let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let name = parts[0].replacingOccurrences(of: "_", with: "-")
    return parts.count == 2 ? name + "=" + parts[1] : name
  }

  /// An empty variable is none.
  private static func environmentArguments() throws -> [String] {
    try ProcessInfo.processInfo.environment
      .filter { $0.key.hasPrefix(prefix) && !reserved.contains($0.key) && !$0.value.isEmpty }
      .sorted { $0.key < $1.key }
      .flatMap { variable, value in
        let name = variable.dropFirst(prefix.count).lowercased().replacingOccurrences(of: "_", with: "-")
        return try option(name, value, from: variable)
      }
  }

  /// Options that stand alone; elsewhere than on the command line they have a truth value.
  private static let flags: Set<String> = ["dry-run", "json", "quiet", "replay-log"]

  /// One argument, so that a value may begin with a hyphen; none for a flag that is off.
  private static func option(_ name: String, _ value: String, from source: String) throws -> [String] {
    guard flags.contains(name) else { return ["--\(name)=\(value)"] }
    switch value.lowercased() {
    case "1", "true", "yes", "on": return ["--" + name]
    case "0", "false", "no", "off": return []
    default: throw RunFailure.usage("\(source) is \"\(value)\"; --\(name) is either true or false")
    }
  }

  /// The last value given for an option, as `--name value` or `--name=value`.
  private static func value(of name: String, in arguments: [String]) -> String? {
    for (index, argument) in arguments.enumerated().reversed() {
      if argument == name, index + 1 < arguments.count { return arguments[index + 1] }
      if argument.hasPrefix(name + "=") { return String(argument.dropFirst(name.count + 1)) }
    }
    return nil
  }

  /// A JSON object of option names and values: `{"hidden-size": 64, "pairs": 512}`. true is a flag that is set.
  private static func fileArguments(_ path: String) throws -> [String] {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw RunFailure.missingInput("cannot open \(path): no configuration can be read there")
    }
    guard let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else {
      throw RunFailure.badData(
        "\(path) is not a JSON object of option names and values, such as {\"pairs\": 512}")
    }
    return try object.sorted { $0.key < $1.key }.flatMap { key, value -> [String] in
      let name = key.replacingOccurrences(of: "_", with: "-")
      let source = "\"\(key)\" in \(path)"
      switch value {
      case let text as String: return try option(name, text, from: source)
      case let number as NSNumber:
        // JSONSerialization hands out booleans as numbers of C type char.
        let isBoolean = number.objCType.pointee == CChar(UInt8(ascii: "c"))
        return try option(name, isBoolean ? "\(number.boolValue)" : number.stringValue, from: source)
      default:
        throw RunFailure.badData(
          "\(path): the value of \"\(key)\" is neither a string, a number nor true or false")
      }
    }
  }
}
