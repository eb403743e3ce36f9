import Foundation
import LongzooMemory
import LongzooTraining
import Yams

/// A file of options under the names that people type, in YAML, of which JSON is a part: `--config` reads what a run has written.
///
///     data: [zoo.zst]
///     hidden-size: 64
///     max-steps: 1000
struct ConfigFile {
  /// Names and values as they would be typed, in the file's order.
  private(set) var options: [(name: String, value: String)] = []
  /// Files, or one pipe.
  private(set) var data: [String] = []

  private static let dataKey = "data"
  /// What tells a run's files from those of another: a repetition gets its own.
  private static let identityKey = "identity"

  // MARK: Writing

  /// What makes the run of a plan again, wherever it stands.
  static func text(_ plan: RunPlan) -> String {
    var lines = ["# longzoo train --config THIS-FILE makes this run again."]
    lines.append("\(dataKey): [\(plan.data.paths.map(JSONText.quoted).joined(separator: ", "))]")
    for entry in RunPlan.entries where entry.setting != .data && plan.heeds(entry) {
      guard let setting = entry.setting, let text = entry.text(plan) else { continue }
      let name = setting.option.dropFirst(2)
      // A flag that is not set is not said.
      if ArgumentLayers.flags.contains(String(name)), text == "false" { continue }
      lines.append("\(name): \(isPlain(text) ? text : JSONText.quoted(text))")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Numbers and names need no quotes.
  private static func isPlain(_ text: String) -> Bool {
    !text.isEmpty
      && text.unicodeScalars.allSatisfy {
        $0.isASCII && ($0.properties.isAlphabetic || "0123456789.-+_".unicodeScalars.contains($0))
      }
      && text.first != "-"
  }

  // MARK: Reading

  /// - Throws: exit code 66 for a file that is not there, 65 for one that holds no options, with the line.
  init(path: String) throws {
    // Not FileManager's contents: they cannot come from a pipe, as that of <(…).
    guard let file = FileHandle(forReadingAtPath: path), let data = try? file.readToEnd() ?? Data() else {
      throw RunFailure.missingInput("cannot open \(path): no configuration can be read there")
    }
    let root: Node?
    do {
      root = try Yams.compose(yaml: String(decoding: data, as: UTF8.self))
    } catch {
      throw RunFailure.badData("\(path) is neither YAML nor JSON: \(Self.words(error))")
    }
    guard let root else { throw RunFailure.badData("\(path) is empty: there are no options in it") }
    guard let mapping = root.mapping else {
      throw RunFailure.badData(
        "\(path) is no list of option names and values, such as pairs: 512 (YAML) or {\"pairs\": 512} (JSON)")
    }
    for (key, value) in mapping {
      try take(key.string ?? "", value, in: path)
    }
  }

  private mutating func take(_ key: String, _ value: Node, in path: String) throws {
    if key == Self.identityKey { return }
    if key == Self.dataKey {
      let files = value.sequence.map { $0.map(\.scalar?.string) } ?? [value.scalar?.string]
      guard !files.isEmpty, files.allSatisfy({ $0 != nil }) else {
        throw RunFailure.badData("\(path): the value of \"data\" is neither a file nor a list of files")
      }
      data = files.compactMap { $0 }
      return
    }
    // An option without a value is none.
    if value.null != nil { return }
    guard let text = value.scalar?.string else {
      throw RunFailure.badData(
        "\(path): the value of \"\(key)\" is neither a string, a number nor true or false")
    }
    options.append((key, text))
  }

  /// A parser's finding in one line.
  private static func words(_ error: any Error) -> String {
    "\(error)".split(separator: "\n").first.map(String.init) ?? "it cannot be read"
  }
}

extension RunPlan {
  /// Whether the run heeds a setting: what it does not heed would be refused.
  fileprivate func heeds(_ entry: Entry) -> Bool {
    guard let setting = entry.setting else { return false }
    if entry.isOfEstimator, estimator.family.refusal(of: setting) != nil { return false }
    switch setting {
    case .beta2: return optimizer.kind.moments > 1
    case .tableRate: return run.regime == .shared
    default: return true
    }
  }
}
