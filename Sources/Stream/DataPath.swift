import Glibc

/// What a path of data is, before it is opened.
public enum DataPath {
  /// The path as the rest of the program knows it: standard input under its names in /dev is `-`.
  public static func normalized(_ path: String) -> String {
    ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"].contains(path) ? "-" : path
  }

  /// Whether the data can be read only once: standard input, a named pipe, a process substitution, a socket or a device;
  /// false if there is nothing.
  public static func isPipe(_ path: String) -> Bool {
    if path == "-" { return true }
    guard let kind = kind(path) else { return false }
    return kind != S_IFREG && kind != S_IFDIR
  }

  static func isSocket(_ path: String) -> Bool { kind(path) == S_IFSOCK }

  private static func kind(_ path: String) -> mode_t? {
    var status = stat()
    return stat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
  }

  /// A copy of an open descriptor that the path names, for what cannot be opened by its name; nil if it names none.
  static func duplicate(_ path: String) -> Int32? {
    for folder in ["/dev/fd/", "/proc/self/fd/"] where path.hasPrefix(folder) {
      guard let number = Int32(path.dropFirst(folder.count)) else { return nil }
      let copy = fcntl(number, F_DUPFD_CLOEXEC, 3)
      return copy >= 0 ? copy : nil
    }
    return nil
  }
}

/// What tells whether a file is still the one that it was, and not written to.
struct FileStamp: Equatable {
  let size: Int
  private let device: UInt64
  private let number: UInt64
  private let written: Int

  init(_ status: stat) {
    size = Int(status.st_size)
    device = UInt64(status.st_dev)
    number = UInt64(status.st_ino)
    written = Int(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int(status.st_mtim.tv_nsec)
  }

  func isSameFile(as other: FileStamp) -> Bool { (device, number) == (other.device, other.number) }

  /// Whether bytes that were there may have changed. A file that has grown was appended to, as logs are, and what is
  /// appended is not read.
  func isWritten(since other: FileStamp) -> Bool { size == other.size && written != other.written }
}
