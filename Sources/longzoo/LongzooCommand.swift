import ArgumentParser
import Foundation
import Memory
import Model
import Stream

@main
struct LongzooCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "longzoo",
    abstract: "Trains recurrent networks on token streams of any length, in memory that does not depend on the length.",
    version: "0.1.0",
    subcommands: [TrainCommand.self, EvalCommand.self, BenchCommand.self])

  static func main() {
    StandardStreams.fillClosed()
    Signals.install()
    GEMM.useCallingThreadOnly()
    do {
      var command = try parseAsRoot(try ArgumentLayers.arguments())
      try command.run()
    } catch let failure as RunFailure {
      end(failure.message, failure.exitCode)
    } catch let error as StreamError {
      // A refused reservation is no fault of the data.
      end(error.description, error.code == .memory ? ExitStatus.usage : error.exitCode)
    } catch let error as MemoryError {
      end(error.description, ExitStatus.usage)
    } catch {
      exit(withError: error)
    }
  }

  private static func end(_ message: String, _ code: Int32) -> Never {
    fflush(nil)
    FileHandle.standardError.write(Data("longzoo: \(message)\n".utf8))
    Foundation.exit(code)
  }
}

/// Where options come from: the command line wins over the environment, which wins over the file of `--config`.
enum ArgumentLayers {
  /// `LONGZOO_HIDDEN_SIZE=64` is `--hidden-size 64`, for the commands that know the option.
  private static let prefix = "LONGZOO_"
  /// Variables that are no options.
  private static let reserved: Set<String> = ["LONGZOO_CORPORA", "LONGZOO_BINARY", "LONGZOO_LONG_TESTS", "LONGZOO_KERNEL"]

  static func arguments() throws -> [String] {
    let given = CommandLine.arguments.dropFirst().map(withHyphens)
    guard given.first == "train" else { return given }
    let fromFile = try value(of: "--config", in: given).map(fileArguments) ?? []
    return try ["train"] + fromFile + environmentArguments() + withResumePath(Array(given.dropFirst()))
  }

  /// `--resume` without a path means the folder of --out-dir.
  private static func withResumePath(_ arguments: [String]) throws -> [String] {
    guard let index = arguments.firstIndex(of: "--resume"),
      index + 1 == arguments.count || arguments[index + 1].hasPrefix("--")
    else { return arguments }
    guard let folder = value(of: "--out-dir", in: arguments) else {
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

  private static func environmentArguments() -> [String] {
    ProcessInfo.processInfo.environment
      .filter { $0.key.hasPrefix(prefix) && !reserved.contains($0.key) }
      .sorted { $0.key < $1.key }
      .flatMap { ["--" + $0.key.dropFirst(prefix.count).lowercased().replacingOccurrences(of: "_", with: "-"), $0.value] }
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
      throw RunFailure.badData("\(path) is not a JSON object of option names and values, such as {\"pairs\": 512}")
    }
    return try object.sorted { $0.key < $1.key }.flatMap { key, value -> [String] in
      let name = "--" + key.replacingOccurrences(of: "_", with: "-")
      switch value {
      case let text as String: return [name, text]
      case let number as NSNumber:
        // JSONSerialization hands out booleans as numbers of C type char.
        if number.objCType.pointee == CChar(UInt8(ascii: "c")) { return number.boolValue ? [name] : [] }
        return [name, number.stringValue]
      default: throw RunFailure.badData("\(path): the value of \"\(key)\" is neither a string, a number nor true")
      }
    }
  }
}
