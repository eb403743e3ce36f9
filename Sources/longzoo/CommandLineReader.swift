import ArgumentParser
import Foundation
import LongzooMemory
import LongzooTraining

/// Reads the command line, and says in one sentence what is wrong with it.
enum CommandLineReader {
  /// What the options of this process come from, for the sentences about them.
  nonisolated(unsafe) private static var layers = ArgumentLayers.none

  /// - Throws: `RunFailure` with exit code 64 for what cannot be read; what asks for help or the version, as the parser throws it.
  static func command() throws -> any ParsableCommand {
    layers = try ArgumentLayers(
      Array(CommandLine.arguments.dropFirst()), environment: ProcessInfo.processInfo.environment)
    try refuseUnknownCommand(layers.arguments)
    do {
      let command = try LongzooCommand.parseAsRoot(layers.arguments)
      return withData(command)
    } catch {
      guard LongzooCommand.exitCode(for: error).rawValue == ExitStatus.usage else { throw error }
      throw sentence(error, layers)
    }
  }

  /// The data of --config, where none is typed and none is known.
  private static func withData(_ command: any ParsableCommand) -> any ParsableCommand {
    guard var train = command as? TrainCommand, train.paths.isEmpty, train.resume == nil else {
      return command
    }
    train.paths = layers.data
    return train
  }

  /// A sentence about options, with the variables and files that they come from.
  static func withSources(_ message: String) -> String {
    let sources = layers.sources(of: message)
    guard !sources.isEmpty else { return message }
    let end = message.firstIndex(of: "\n") ?? message.endIndex
    return message[..<end] + " (\(sources.joined(separator: ", ")))" + message[end...]
  }

  private static let names = LongzooCommand.configuration.subcommands.map { $0._commandName }

  private static func refuseUnknownCommand(_ arguments: [String]) throws(RunFailure) {
    let asked = arguments.first == "help" ? arguments.dropFirst().first : arguments.first
    guard let asked, !asked.hasPrefix("-"), asked != "help", !names.contains(asked) else { return }
    throw .usage(Wording(unknownCommand(asked)))
  }

  static func unknownCommand(_ name: String) -> String {
    let near = nearest(to: name, among: names)
    return "there is no command \"\(name)\"; "
      + (near.map { "did you mean \($0)? 'longzoo --help' lists all" }
        ?? "there are \(names.joined(separator: ", "))")
  }

  private static func sentence(_ error: any Error, _ layers: ArgumentLayers) -> RunFailure {
    if let blamed = firstUnreadable(layers.layered) { return blamed }
    let command = layers.arguments.first.flatMap { names.contains($0) ? " " + $0 : nil } ?? ""
    return .usage("\(text(error)) ('longzoo\(command) --help' lists the options)")
  }

  /// The first of these that is wrong by itself: the parser does not know where an argument comes from.
  private static func firstUnreadable(_ layered: [ArgumentLayers.Layered]) -> RunFailure? {
    for one in layered {
      do {
        _ = try TrainCommand.parse([one.argument])
      } catch {
        return .usage("\(one.source): \(text(error)) ('longzoo train --help' lists the options)")
      }
    }
    return nil
  }

  /// The parser's sentence, beginning and ending as ours do.
  private static func text(_ error: any Error) -> String {
    var text = LongzooCommand.message(for: error).split(separator: "\n").joined(separator: " ")
    while text.last == "." { text.removeLast() }
    return text.prefix(1).lowercased() + text.dropFirst()
  }

  /// The name that a slip of the finger or two would turn into this one.
  static func nearest(to name: String, among names: [String]) -> String? {
    let distances = names.map { (name: $0, slips: slips(Array(name), Array($0))) }
    guard let best = distances.min(by: { $0.slips < $1.slips }) else { return nil }
    return best.slips <= max(1, min(2, name.count / 2)) ? best.name : nil
  }

  /// The fewest letters to insert, remove, replace or exchange with their neighbour.
  private static func slips(_ a: [Character], _ b: [Character]) -> Int {
    var rows = [Array(0...b.count)]
    for i in 1..<max(a.count + 1, 1) {
      var row = [i]
      for j in 1..<max(b.count + 1, 1) {
        let replaced = rows[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)
        var best = min(replaced, rows[i - 1][j] + 1, row[j - 1] + 1)
        if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
          best = min(best, rows[i - 2][j - 2] + 1)
        }
        row.append(best)
      }
      rows.append(row)
    }
    return rows[a.count][b.count]
  }
}
