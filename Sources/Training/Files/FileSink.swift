import Foundation
import LongzooMemory

/// An open file that is written to its end, with errors that name it. Does not own the descriptor.
package struct FileSink {
  package let descriptor: Int32
  /// The name for error messages.
  package let path: String

  /// Writes all of `bytes`, however many calls that takes.
  /// - Throws: exit code 74.
  package func write(_ bytes: UnsafeRawBufferPointer) throws(RunFailure) {
    var written = 0
    while written < bytes.count {
      // Linux moves at most 2 GiB at a call anyway; a round limit keeps the next offset aligned.
      let piece = UnsafeRawBufferPointer(rebasing: bytes[written..<min(bytes.count, written + 1 << 30)])
      let count = Glibc.write(descriptor, piece.baseAddress, piece.count)
      if count < 0 {
        if errno == EINTR { continue }
        throw .system("write", path, errno: errno)
      }
      written += count
    }
  }

  /// Whether what was written can be written again: not in a pipe.
  package var isSeekable: Bool { lseek(descriptor, 0, SEEK_CUR) >= 0 }

  /// Writes over the first bytes of the file.
  /// - Throws: exit code 74.
  package func replace(with bytes: UnsafeRawBufferPointer) throws(RunFailure) {
    var written = 0
    while written < bytes.count {
      let count = pwrite(descriptor, bytes.baseAddress! + written, bytes.count - written, written)
      if count < 0 {
        if errno == EINTR { continue }
        throw .system("write", path, errno: errno)
      }
      written += count
    }
  }

  /// Writes `text` as UTF-8.
  /// - Throws: exit code 74.
  package func write(_ text: String) throws(RunFailure) {
    let bytes = Array(text.utf8)
    try bytes.span.withUnsafeBytes { (raw) throws(RunFailure) in try write(raw) }
  }
}
