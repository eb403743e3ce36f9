import Foundation
import LongzooTraining

/// The terminal, or whatever takes its place. Texts go through `TerminalText` here, whoever made them.
enum StandardStreams {
  /// Opens `/dev/null` where standard input, output or error was closed by the caller.
  ///
  /// Otherwise the next file opened gets that number, and progress lines end up inside of a checkpoint.
  static func fillClosed() {
    for descriptor in Int32(0)...2 where fcntl(descriptor, F_GETFD) < 0 && errno == EBADF {
      // The lowest free number is the closed one: those below it are open by now.
      _ = open("/dev/null", O_RDWR)
    }
  }

  /// Says something on standard error, with its line breaks. Nobody may be listening any more: a log's reader that is gone, or
  /// a full disk, ends no run.
  static func tell(_ text: String) { _ = write(TerminalText.lines(text), to: STDERR_FILENO) }

  /// The last words of a program that failed: one line, and what stands below it.
  static func tellFailure(_ message: String, details: String? = nil) {
    tell("longzoo: " + TerminalText.line(message) + (details.map { ":\n" + $0 } ?? "") + "\n")
  }

  /// Rewrites a line of the terminal on standard error.
  static func showStatus(_ text: String) {
    _ = write("\r" + TerminalText.line(text) + "\u{1B}[K\r", to: STDERR_FILENO)
  }

  /// Prints a result, and does not take it for printed before the system has it. JSON stays what it is. A reader that is gone has
  /// had enough, as `head` has.
  /// - Throws: exit code 74.
  static func printResult(_ text: String) throws(RunFailure) {
    let code = write(TerminalText.lines(text) + "\n", to: STDOUT_FILENO)
    guard code == 0 || code == EPIPE else { throw .system("write to", "standard output", errno: code) }
  }

  /// - Returns: 0, or the system's number for what went wrong.
  private static func write(_ text: String, to descriptor: Int32) -> Int32 {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { return written < 0 ? errno : EIO }
      bytes = bytes.dropFirst(written)
    }
    return 0
  }
}
