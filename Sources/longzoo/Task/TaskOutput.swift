import Foundation

/// Where a task's tokens go: bytes on standard output, in blocks.
enum TaskOutput {
  /// Why a stream ends before its time.
  enum End: Error {
    /// Nobody reads any more.
    case closed
    case signal
    case failed(errno: Int32)
  }

  static func write(_ bytes: [UInt8], to descriptor: Int32) throws(End) {
    var done = 0
    while done < bytes.count {
      if Signals.received != nil { throw .signal }
      let written = bytes.withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress! + done, bytes.count - done)
      }
      if written < 0 {
        if errno == EINTR { continue }
        throw errno == EPIPE ? .closed : .failed(errno: errno)
      }
      done += written
    }
  }
}
