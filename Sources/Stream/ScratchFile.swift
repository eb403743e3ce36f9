import Glibc
import LongzooMemory

/// Unpacked data in a file without a name: it is gone when the program ends, however it ends.
final class ScratchFile {
  let folder: String
  private(set) var byteCount = 0
  private let descriptor: Int32

  init(folder named: String?) throws(StreamError) {
    folder = named ?? Self.defaultFolder()
    var template = Array("\(folder)/longzoo-XXXXXX".utf8CString)
    descriptor = mkstemp(&template)
    if descriptor < 0 { throw Self.failure(errno, folder: folder, needed: nil, written: 0) }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    unlink(template)
  }

  deinit {
    close(descriptor)
  }

  private static func defaultFolder() -> String {
    if let path = getenv("TMPDIR"), path.pointee != 0 { return String(cString: path) }
    // /tmp may itself be memory; /var/tmp is not.
    return access("/var/tmp", W_OK) == 0 ? "/var/tmp" : "/tmp"
  }

  /// - Parameter needed: the size of all that will be written, if it is known; for the error message.
  func append(_ bytes: UnsafeRawBufferPointer, needed: Int?) throws(StreamError) {
    var done = 0
    while done < bytes.count {
      let part = UnsafeRawBufferPointer(rebasing: bytes[done...])
      let count = pwrite(descriptor, part.baseAddress, part.count, byteCount)
      if count < 0 {
        if errno == EINTR { continue }
        throw Self.failure(errno, folder: folder, needed: needed, written: byteCount)
      }
      done += count
      byteCount += count
    }
  }

  func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(StreamError) {
    var done = 0
    while done < bytes.count {
      let part = UnsafeMutableRawBufferPointer(rebasing: bytes[done...])
      let count = pread(descriptor, part.baseAddress, part.count, offset + done)
      if count < 0 && errno == EINTR { continue }
      if count <= 0 {
        throw StreamError(
          .inputOutput,
          "the unpacked copy cannot be read: \(count == 0 ? "it ends early" : systemMessage(errno))",
          file: folder)
      }
      done += count
    }
  }

  static func failure(_ number: Int32, folder: String, needed: Int?, written: Int) -> StreamError {
    let size = needed.map { "needs \($0) bytes" } ?? "needs more than \(written) bytes"
    return StreamError(
      .inputOutput, "compressed data cannot be unpacked here, which \(size): \(systemMessage(number))",
      advice: "set TMPDIR to a folder with room, or say \(.streams) 1, which needs no copy", file: folder)
  }
}
