import Foundation
import LongzooModel
import LongzooTraining

/// Where a task's tokens go: bytes on standard output, in blocks.
struct TaskOutput {
  /// Why a stream ends.
  enum End: Error {
    /// All that was asked for is written.
    case complete
    /// Nobody reads any more.
    case closed
    case signal
    case failed(errno: Int32)
  }

  private static let block = 1 << 16

  private let descriptor: Int32
  private let mark: UInt8
  private var buffer = [UInt8]()
  /// Tokens that may still be written; nil: any number.
  private var rest: Int?

  /// - Parameters:
  ///   - isMarked: whether tokens that are not to be predicted have their highest bit set.
  ///   - count: tokens to write; nil: without end.
  init(descriptor: Int32, isMarked: Bool, count: Int?) {
    self.descriptor = descriptor
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

  /// Writes what is there, up to the count.
  mutating func flush() throws(End) {
    let count = min(buffer.count, rest ?? .max)
    var done = 0
    while done < count {
      if Signals.received != nil { throw .signal }
      let written = buffer.withUnsafeBytes { write(descriptor, $0.baseAddress! + done, count - done) }
      if written < 0 {
        if errno == EINTR { continue }
        throw errno == EPIPE ? .closed : .failed(errno: errno)
      }
      done += written
    }
    buffer.removeAll(keepingCapacity: true)
    rest = rest.map { $0 - count }
    if rest == 0 { throw .complete }
  }
}

/// The random numbers of one sequence of a task: a function of (seed, task, number of the sequence).
struct TaskRandom {
  private let philox: Philox
  private let sequence: UInt32
  private var index: UInt32 = 0
  private var words = SIMD4<UInt32>()
  private var used = 4

  /// - Parameter part: of a sequence that needs more than one independent source.
  init(seed: UInt64, task: TaskKind, sequence: Int, part: Int = 0) {
    philox = Philox(seed: seed, domain: .tasks, tensor: task.number << 4 | part, tile: sequence >> 32)
    self.sequence = UInt32(truncatingIfNeeded: sequence)
  }

  /// The 16 bytes of a place, whatever was drawn before.
  func bytes(_ place: UInt32) -> SIMD16<UInt8> {
    unsafeBitCast(philox.block(place, sequence), to: SIMD16<UInt8>.self)
  }

  /// A uniform number of 0 ..< bound.
  mutating func below(_ bound: Int) -> Int {
    if used == 4 {
      words = philox.block(index, sequence)
      index &+= 1
      used = 0
    }
    defer { used += 1 }
    // In full width: a bound may be more than 2³², and then every number of a few is drawn.
    let (high, low) = UInt64(words[used]).multipliedFullWidth(by: UInt64(bound))
    return Int(high << 32 | low >> 32)
  }

  mutating func within(_ range: ClosedRange<Int>) -> Int { range.lowerBound + below(range.count) }
}
