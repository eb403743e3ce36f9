import LongzooMemory
import LongzooTraining

/// How a setting is given on the command line: `hiddenSize` as `--hidden-size`.
enum OptionName {
  /// Those whose option is not the property's name with hyphens.
  private static let others: [Setting: String] = [
    .tokenType: "--dtype", .vocabularySize: "--vocab-size", .holdoutFraction: "--val-fraction",
    .heldOutPath: "--val", .initialWeights: "--init", .epsilon: "--eps", .learningRate: "--lr",
    .schedule: "--lr-schedule", .folder: "--out-dir",
  ]

  static func of(_ setting: Setting) -> String {
    others[setting]
      ?? setting.rawValue.reduce(into: "--") { $0 += $1.isUppercase ? "-" + $1.lowercased() : String($1) }
  }
}

extension Setting {
  /// The option that sets it.
  var option: String { OptionName.of(self) }
}

extension Wording {
  /// The sentence as the command line says it.
  var commandText: String { text(naming: OptionName.of) }
}

extension RunFailure {
  /// One line: a line break in it is shown as `\n`.
  var message: String { wording.commandText }

  var exitCode: Int32 {
    switch kind {
    case .usage: ExitStatus.usage
    case .badData: ExitStatus.badData
    case .missingInput: ExitStatus.missingInput
    case .inputOutput: ExitStatus.inputOutput
    }
  }
}
