import LongzooMemory

/// Where frames begin, for a look-up in a bounded table: when it is full, every other entry goes.
///
/// Frames between two entries are found by walking on from the one before.
final class FrameIndex {
  static let capacity = 1024

  static var byteCount: Int { Buffer<FrameReference>.byteCount(for: capacity) }

  private let entries: Buffer<FrameReference>
  private var count = 0
  private var stride = 1
  private var seen = 0

  init(ledger: MemoryLedger) throws(StreamError) {
    entries = try .stream(Self.capacity, for: "the index of frames", ledger: ledger)
  }

  /// Frames come in the order of files and bytes.
  func append(_ frame: FrameReference) {
    defer { seen += 1 }
    guard seen % stride == 0 else { return }
    if count == Self.capacity {
      for place in 0..<(count / 2) { entries[place] = entries[2 * place] }
      count /= 2
      stride *= 2
      guard seen % stride == 0 else { return }
    }
    entries[count] = frame
    count += 1
  }

  /// Forgets the frames of the last file.
  func remove(file: Int) {
    while count > 0, entries[count - 1].file == file { count -= 1 }
  }

  /// The last known frame of the file that begins at or before `byte`.
  func frame(file: Int, byte: Int) -> FrameReference? {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      let entry = entries[middle]
      if (entry.file, entry.byte) <= (file, byte) { low = middle + 1 } else { high = middle }
    }
    guard low > 0, entries[low - 1].file == file else { return nil }
    return entries[low - 1]
  }
}
