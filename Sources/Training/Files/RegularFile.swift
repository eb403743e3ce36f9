import Foundation
import LongzooMemory

/// The files of a run folder, which may have come from elsewhere: links in it would lead anywhere, and a pipe never answers.
package enum RegularFile {
  /// Opens a file that is a file.
  /// - Parameters:
  ///   - flags: of `open`, to which a few are added.
  ///   - followsLinks: for paths that a person has named.
  /// - Returns: nil if there is none, and `flags` do not make one.
  /// - Throws: exit code 74.
  package static func open(_ path: String, _ flags: Int32, followsLinks: Bool = false) throws(RunFailure)
    -> Int32?
  {
    if !followsLinks { try require(path) }
    let more = O_CLOEXEC | O_NONBLOCK | (followsLinks ? 0 : O_NOFOLLOW)
    let descriptor = Foundation.open(path, flags | more, 0o666)
    guard descriptor >= 0 else {
      if errno == ENOENT, flags & O_CREAT == 0 { return nil }
      throw .system(flags & O_ACCMODE == O_RDONLY ? "read" : "write", path, errno: errno)
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw refusal(path, status.st_mode)
    }
    return descriptor
  }

  /// - Throws: exit code 74 for what is there and is no file.
  package static func require(_ path: String) throws(RunFailure) {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG else { return }
    throw refusal(path, status.st_mode)
  }

  package static func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  /// All of a small file; nil if there is none.
  /// - Throws: exit code 74, also for one of more than `limit` bytes.
  package static func contents(_ path: String, limit: Int = 16 << 20) throws(RunFailure) -> Data? {
    guard let descriptor = try open(path, O_RDONLY) else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size <= limit else {
      throw .inputOutput("\(path) has more than \(limit) bytes, which is more than any run writes there")
    }
    do {
      return try FileHandle(fileDescriptor: descriptor).read(upToCount: limit) ?? Data()
    } catch {
      throw .inputOutput("cannot read \(path): \(error.localizedDescription)")
    }
  }

  private static func refusal(_ path: String, _ mode: mode_t) -> RunFailure {
    let kind =
      switch mode & S_IFMT {
      case S_IFLNK: "a link"
      case S_IFIFO: "a pipe"
      case S_IFDIR: "a folder"
      default: "a device or a socket"
      }
    return .inputOutput("\(path) is \(kind), where a run has a plain file; remove it, or take another folder")
  }
}
