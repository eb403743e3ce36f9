import Glibc
import LongzooMemory
import LongzooStream

extension MemoryError {
  /// The first line says what to do, and the ledger's table may come below it.
  var commandText: String { text { $0.option } }
}

extension StreamError.Kind {
  /// The exit code of a command that ends so; an interruption has that of its signal.
  var exitCode: Int32 {
    switch self {
    case .overBudget, .invalidConfiguration: ExitStatus.usage
    case .badData: ExitStatus.badData
    case .noSuchFile: ExitStatus.missingInput
    case .inputOutput: ExitStatus.inputOutput
    case .interrupted: ExitStatus.signal(Signals.received ?? SIGTERM)
    }
  }
}

extension StreamError {
  /// The sentence as the command line says it: with options, and with commands that end in this program.
  var commandText: String { text(naming: { $0.option }, mending: command) }

  private func command(_ remedy: Remedy) -> String {
    let path = file ?? "FILE"
    switch remedy {
    case .unpack(let commands, isPipe: true):
      return "unpack it in the pipe, as in … | \(Self.intoTraining(commands))"
    case .unpack(let commands, isPipe: false): return "unpack it, as in \(Self.intoTraining(commands))"
    case .printText(let command): return "write its text out, as in \(Self.intoTraining([command]))"
    case .cutHeader(let bytes, let type, let isPipe):
      let cut = "tail -c +\(bytes + 1)"
      let options = "\(Setting.tokenType.option) \(type.rawValue) \(Setting.vocabularySize.option) N"
      return isPipe
        ? "leave the header out, as in … | \(Self.intoTraining([cut])) \(options)"
        : "cut the header off, as in \(cut) \(path) > ids.bin, and train on ids.bin with \(options)"
    case .useAsWeights: return "weights are given to --init or as the CHECKPOINT of eval, and data here"
    case .joinFiles:
      return "join them before the pipe, as in \(Self.intoTraining(["cat a \(path) b"]))"
    case .connectSocket:
      return
        "read it through a pipe, as in \(Self.intoTraining(["socat -u UNIX-CONNECT:\(path) -"]))"
    case .separateFiles: return "give held-out data as a file with --val, or give files"
    }
  }

  private static func intoTraining(_ commands: [String]) -> String {
    (commands + ["longzoo train -"]).joined(separator: " | ")
  }
}
