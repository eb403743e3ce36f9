import Foundation
import LongzooMemory

/// Files that are either the old ones or the new ones, whatever happens in between.
package enum AtomicFile {
  /// Writes `path` through a temporary `.<name>.tmp-<pid>` beside it: write, fsync, rename, fsync of the folder.
  ///
  /// When `body` or the system fails, the temporary is removed and the old file is untouched. A link that a person has
  /// named is followed; a device or a pipe, which no rename may replace, is written directly.
  /// - Parameter isOfRun: in a run folder nothing but files is replaced.
  /// - Throws: what `body` throws, or `RunFailure` with exit code 74.
  package static func write(to path: String, isOfRun: Bool = false, _ body: (FileSink) throws -> Void) throws
  {
    if isOfRun { try RegularFile.require(path) }
    var status = stat()
    if stat(path, &status) == 0 {
      let kind = status.st_mode & S_IFMT
      if kind == S_IFDIR { throw RunFailure.inputOutput("cannot write \(path): it is a folder") }
      if kind != S_IFREG { return try writeDirectly(to: path, body) }
    }
    let target = isOfRun ? path : resolved(path)
    let (folder, name) = split(target)
    let temporary = joined(folder, ".\(name).tmp-\(getpid())")
    // Whatever has the name: a link or a pipe is not to be opened.
    unlink(temporary)
    let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard file >= 0 else { throw RunFailure.system("write", path, errno: errno) }
    var isOpen = true
    do {
      try body(FileSink(descriptor: file, path: path))
      guard fsync(file) == 0 else { throw RunFailure.system("write", path, errno: errno) }
      isOpen = false
      // Some file systems report a full disk only here.
      guard close(file) == 0 else { throw RunFailure.system("write", path, errno: errno) }
      guard rename(temporary, target) == 0 else { throw RunFailure.system("replace", path, errno: errno) }
    } catch {
      if isOpen { close(file) }
      unlink(temporary)
      throw error
    }
    try synchronize(folder: folder)
  }

  /// Writes a copy of a file of a run into another run's folder, in pieces.
  /// - Throws: exit code 74.
  package static func copy(_ source: String, to path: String) throws {
    guard let file = try RegularFile.open(source, O_RDONLY) else {
      throw RunFailure.system("read", source, errno: ENOENT)
    }
    defer { close(file) }
    try write(to: path, isOfRun: true) { sink in
      try withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 16) { buffer in
        while true {
          let count = read(file, buffer.baseAddress, buffer.count)
          if count < 0, errno == EINTR { continue }
          guard count >= 0 else { throw RunFailure.system("read", source, errno: errno) }
          if count == 0 { return }
          try sink.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
      }
    }
  }

  /// Removes what killed processes left in `folder`: temporaries whose process is gone, or has this one's number,
  /// which in a container comes up again and again. Call it before this process writes there.
  package static func removeStaleTemporaries(in folder: String) {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else { return }
    for name in names where name.hasPrefix(".") {
      guard let mark = name.range(of: ".tmp-", options: .backwards),
        let process = Int32(name[mark.upperBound...]), process > 0
      else { continue }
      if process == getpid() || (kill(process, 0) != 0 && errno == ESRCH) {
        unlink(joined(folder, name))
      }
    }
  }

  private static func writeDirectly(to path: String, _ body: (FileSink) throws -> Void) throws {
    let file = open(path, O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { throw RunFailure.system("write", path, errno: errno) }
    defer { close(file) }
    try body(FileSink(descriptor: file, path: path))
  }

  /// The rename is on disk only when the folder is.
  private static func synchronize(folder: String) throws(RunFailure) {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system("open", folder, errno: errno) }
    defer { close(descriptor) }
    // EINVAL: a file system that cannot synchronize folders.
    if fsync(descriptor) != 0, errno != EINVAL { throw .system("write", folder, errno: errno) }
  }

  /// `path` with its links followed, if it exists.
  private static func resolved(_ path: String) -> String {
    guard let real = realpath(path, nil) else { return path }
    defer { free(real) }
    return String(cString: real)
  }

  private static func split(_ path: String) -> (folder: String, name: String) {
    guard let slash = path.lastIndex(of: "/") else { return (".", path) }
    let folder = path[..<slash]
    return (folder.isEmpty ? "/" : String(folder), String(path[path.index(after: slash)...]))
  }

  private static func joined(_ folder: String, _ name: String) -> String {
    folder.hasSuffix("/") ? folder + name : folder + "/" + name
  }
}
