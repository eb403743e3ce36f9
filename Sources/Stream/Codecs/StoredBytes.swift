import LongzooMemory

/// The stored bytes of one file after the other, read ahead into a fixed buffer.
final class StoredBytes {
  /// Bytes that are read at once.
  static let bufferBytes = 128 * 1024

  static var byteCount: Int { Buffer<UInt8>.byteCount(for: bufferBytes) }

  private(set) var file: InputFile?
  private let buffer: Buffer<UInt8>
  /// The part of the buffer that is not yet used.
  private var head = 0
  private var tail = 0
  /// Bytes of the file up to the end of that part.
  private var end = 0

  init(ledger: MemoryLedger) throws(StreamError) {
    buffer = try .stream(Self.bufferBytes, for: "the read buffer", ledger: ledger)
  }

  /// Goes on with a file from `offset` on; nil: with none.
  func attach(_ file: InputFile?, offset: Int = 0) {
    self.file = file
    move(to: offset)
  }

  /// Goes on at another place of the file.
  func move(to offset: Int) { (head, tail, end) = (0, 0, offset) }

  /// Bytes of the file before the next one to be used.
  var offset: Int { end - (tail - head) }

  var isEmpty: Bool { head == tail }

  /// What was read and not yet used.
  var unread: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer.elements)[head..<tail])
  }

  func use(_ count: Int) { head += count }

  /// Moves as many bytes as there are, and as `output` has space for; the number moved.
  func copy(to output: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(output.count, tail - head)
    output.copyMemory(from: UnsafeRawBufferPointer(rebasing: unread[..<count]))
    head += count
    return count
  }

  /// The whole buffer, for passing use while no file is attached.
  var space: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(buffer.elements) }

  /// Reads more bytes after those not yet used; false at the end of the file; nil if this would wait.
  func refill(mayWait: Bool) throws(StreamError) -> Bool? {
    guard let file else { return false }
    if !mayWait && !file.isReady { return nil }
    if head > 0 {
      space.copyMemory(from: unread)
      (head, tail) = (0, tail - head)
    }
    let count = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: space[tail...]), at: end)
    tail += count
    end += count
    return count > 0
  }
}
