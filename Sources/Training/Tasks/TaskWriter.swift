/// Collects the tokens of a task into blocks, marks them, and counts them.
struct TaskWriter {
  /// Why a stream ends.
  enum End: Error {
    /// All that was asked for is written.
    case complete
    /// Whoever takes the blocks has thrown this.
    case refused(any Error)
  }

  private static let block = 1 << 16

  private let take: ([UInt8]) throws -> Void
  private let mark: UInt8
  private var buffer = [UInt8]()
  /// Tokens that may still be written; nil: any number.
  private var rest: Int?

  /// - Parameters:
  ///   - isMarked: whether tokens that are not to be predicted have their highest bit set.
  ///   - count: tokens to write; nil: without end.
  ///   - take: gets about 64 KiB at a time, and less at the end.
  init(isMarked: Bool, count: Int?, take: @escaping ([UInt8]) throws -> Void) {
    self.take = take
    mark = isMarked ? 0x80 : 0
    rest = count
    buffer.reserveCapacity(Self.block + 16)
  }

  /// Tokens that are read only.
  mutating func question(_ tokens: some Sequence<UInt8>) throws(End) {
    for token in tokens { try append(token | mark) }
  }

  /// Tokens that are to be predicted.
  mutating func answer(_ tokens: some Sequence<UInt8>) throws(End) {
    for token in tokens { try append(token) }
  }

  /// `count` random tokens out of first ..< first + 4, read only; 16 to a block of random bits.
  mutating func noise(_ count: Int, from first: UInt8, _ random: TaskRandom) throws(End) {
    let base = SIMD16<UInt8>(repeating: first)
    let marks = SIMD16<UInt8>(repeating: mark)
    for index in 0..<(count + 15) / 16 {
      let bytes = (random.bytes(UInt32(truncatingIfNeeded: index)) & 3) &+ base | marks
      withUnsafeBytes(of: bytes) { buffer.append(contentsOf: $0.prefix(count - 16 * index)) }
      if buffer.count >= Self.block { try flush() }
    }
  }

  private mutating func append(_ byte: UInt8) throws(End) {
    buffer.append(byte)
    if buffer.count >= Self.block { try flush() }
  }

  /// Hands over what is there, up to the count.
  mutating func flush() throws(End) {
    if let rest, rest < buffer.count { buffer.removeLast(buffer.count - rest) }
    do {
      if !buffer.isEmpty { try take(buffer) }
    } catch {
      throw .refused(error)
    }
    rest = rest.map { $0 - buffer.count }
    buffer.removeAll(keepingCapacity: true)
    if rest == 0 { throw .complete }
  }
}
