/// What mends data that a `StreamError` refuses, where that is a step of its own and no setting.
///
/// The error's `description` says it in general words. A program that knows how its data is given to it, such as a
/// command line, makes a text of its own from the case, with `StreamError.text(naming:mending:)`.
public enum Remedy: Equatable, Sendable {
  /// Unpack the data with shell commands, each of which reads what the one before has written.
  ///
  /// The first names the file, or, with `isPipe`, reads from the pipe.
  case unpack(commands: [String], isPipe: Bool)
  /// Leave out the first `bytes` bytes; those after them are tokens of `tokenType`.
  case cutHeader(bytes: Int, tokenType: TokenType, isPipe: Bool)
  /// Write the text in the file out, with a shell command that prints it.
  case printText(command: String)
  /// Give the file where weights are read: it holds no data.
  case useAsWeights
  /// Join the files before the pipe, which is the error's file, is read.
  case joinFiles
  /// Connect a pipe to the socket that the error's file is.
  case connectSocket
  /// Give held-out data as files of its own, or give the data as files.
  case separateFiles

  /// The remedy in words that hold for every program.
  var text: String {
    switch self {
    case .unpack(let commands, let isPipe):
      "unpack it \(isPipe ? "in the pipe" : "first"), with \(commands.joined(separator: " | "))"
    case .cutHeader(let bytes, let type, let isPipe):
      "leave out the first \(bytes) bytes\(isPipe ? " in the pipe" : ""), after which it holds \(type.rawValue) tokens"
    case .printText(let command): "write its text out first, with \(command)"
    case .useAsWeights: "give it where weights are read, and data here"
    case .joinFiles: "join them before the pipe, with cat"
    case .connectSocket: "connect a pipe to it, with socat"
    case .separateFiles: "give held-out data as files of its own, or give files"
    }
  }
}
