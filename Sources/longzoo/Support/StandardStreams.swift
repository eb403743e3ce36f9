import Foundation

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

  /// Prints a result, and does not take it for printed before the system has it.
  /// - Throws: exit code 74.
  static func printResult(_ text: String) throws(RunFailure) {
    print(text)
    guard fflush(nil) == 0 else { throw .system("write to", "standard output", errno: errno) }
  }
}
