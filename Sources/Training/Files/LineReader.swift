import Foundation
import LongzooMemory

/// The lines of a file, through memory of fixed size: a file from elsewhere may be one line without an end.
package final class LineReader {
  /// Bytes; our own lines have some hundreds.
  package static let longest = 1 << 16

  package struct Line {
    /// Without its line break; valid until the next line is read. Nothing of a line that is too long.
    package var text: UnsafeRawBufferPointer
    /// Whether a line break follows it.
    package var isWhole: Bool
    package var isTooLong: Bool
  }

  private let descriptor: Int32
  private let path: String
  private let memory: UnsafeMutableRawBufferPointer
  private var (head, tail) = (0, 0)

  /// - Returns: nil if there is no such file.
  /// - Throws: exit code 74.
  package init?(path: String) throws(RunFailure) {
    guard let descriptor = try RegularFile.open(path, O_RDONLY) else { return nil }
    (self.descriptor, self.path) = (descriptor, path)
    memory = .allocate(byteCount: Self.longest, alignment: 1)
  }

  deinit {
    close(descriptor)
    memory.deallocate()
  }

  /// nil at the end.
  /// - Throws: exit code 74.
  package func next() throws(RunFailure) -> Line? {
    var isTooLong = false
    while true {
      if let end = memory[head..<tail].firstIndex(of: UInt8(ascii: "\n")) {
        defer { head = end + 1 }
        return line(upTo: end, isTooLong, isWhole: true)
      }
      if tail - head == memory.count { (isTooLong, head, tail) = (true, 0, 0) }
      guard try refill() else {
        if head == tail, !isTooLong { return nil }
        defer { head = tail }
        return line(upTo: tail, isTooLong, isWhole: false)
      }
    }
  }

  private func line(upTo end: Int, _ isTooLong: Bool, isWhole: Bool) -> Line {
    Line(
      text: UnsafeRawBufferPointer(rebasing: memory[head..<(isTooLong ? head : end)]), isWhole: isWhole,
      isTooLong: isTooLong)
  }

  private func refill() throws(RunFailure) -> Bool {
    if head > 0 {
      memory.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[head..<tail]))
      (head, tail) = (0, tail - head)
    }
    while true {
      let count = Glibc.read(descriptor, memory.baseAddress! + tail, memory.count - tail)
      if count < 0 {
        if errno == EINTR { continue }
        throw .system("read", path, errno: errno)
      }
      tail += count
      return count > 0
    }
  }
}
