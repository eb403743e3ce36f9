import Foundation

/// The exit codes of the program, after sysexits.h.
enum ExitStatus {
  /// A run that diverged: nothing is wrong with the call or the data, but there is no success either.
  static let diverged: Int32 = 1
  static let usage: Int32 = 64
  static let badData: Int32 = 65
  static let missingInput: Int32 = 66
  static let inputOutput: Int32 = 74

  /// What a shell reports for a program that a signal ended: 130 for SIGINT, 143 for SIGTERM.
  static func signal(_ number: Int32) -> Int32 { 128 + number }
}

/// The end of a run that could not go on: one sentence for the user and the exit code.
struct RunFailure: Error, Equatable, CustomStringConvertible, LocalizedError {
  /// One line: a line break in it is shown as `\n`.
  let message: String
  let exitCode: Int32
  /// A table below the message.
  var details: String?

  var description: String { message }
  var errorDescription: String? { message }

  /// Options that contradict each other or the data. Exit code 64.
  static func usage(_ message: String, details: String? = nil) -> RunFailure {
    RunFailure(message: message, exitCode: ExitStatus.usage, details: details)
  }

  /// A file whose content is not what it should be. Exit code 65.
  static func badData(_ message: String) -> RunFailure {
    RunFailure(message: message, exitCode: ExitStatus.badData)
  }

  /// A file that is not there or cannot be opened for reading. Exit code 66.
  static func missingInput(_ message: String) -> RunFailure {
    RunFailure(message: message, exitCode: ExitStatus.missingInput)
  }

  /// A read, a write, memory or a thread that the system refused. Exit code 74.
  static func inputOutput(_ message: String) -> RunFailure {
    RunFailure(message: message, exitCode: ExitStatus.inputOutput)
  }

  /// Exit code 74 from an `errno`: `cannot write model.safetensors: the disk is full`.
  static func system(_ action: String, _ path: String, errno code: Int32) -> RunFailure {
    .inputOutput("cannot \(action) \(path): \(reason(code))")
  }

  /// An `errno` in words.
  static func reason(_ code: Int32) -> String {
    switch code {
    case ENOSPC: return "the disk is full"
    case EDQUOT: return "the disk quota is used up"
    case EROFS: return "the file system is read-only"
    case EFBIG: return "the file would be larger than the system allows"
    default:
      let text = String(cString: strerror(code))
      return text.prefix(1).lowercased() + text.dropFirst()
    }
  }
}
