import Glibc
import LongzooMemory

/// Blocks of tokens between the reader thread and the consumer: a bounded queue for each stream.
///
/// The memory of a block belongs to the reader until it is published, and to the consumer until it is released; only
/// the counts are shared, under the lock.
final class TokenRing: @unchecked Sendable {
  private struct Shared: BitwiseCopyable {
    /// Blocks published and not yet released.
    var filled = 0
    /// Nothing more will be published.
    var closed = false
  }

  private struct Header: BitwiseCopyable {
    var tokens = 0
    var point = RestartPoint()
  }

  private struct Consumer: BitwiseCopyable {
    var block = 0
    var offset = 0
  }

  private let streams: Int
  private let shape: Shape
  private let layout: TokenLayout
  private let bytes: Buffer<UInt8>
  private let headers: Buffer<Header>
  private let shared: Buffer<Shared>
  private let consumers: Buffer<Consumer>
  private let writing: Buffer<Int>
  private let monitor = Monitor()
  private var stopped = false
  private var failures: [Int: StreamError] = [:]
  /// The stream that the reader looks at first: they all get their turn.
  private var turn = 0

  /// Nanoseconds that the consumer waited for the reader.
  private(set) var waited: UInt64 = 0

  /// The size and number of blocks of one stream.
  struct Shape {
    let blockBytes: Int
    let blocks: Int

    /// Many streams share 4 MiB, but each has at least 4 KiB, and a single one 256 KiB.
    init(streams: Int) {
      let bytes = min(256 * 1024, max(4096, (4 << 20) / streams / 128 * 128))
      blocks = streams == 1 ? 8 : 2
      blockBytes = bytes / blocks
    }
  }

  static func byteCount(streams: Int) -> Int {
    let shape = Shape(streams: streams)
    return Buffer<UInt8>.byteCount(for: streams * shape.blocks * shape.blockBytes)
      + Buffer<Header>.byteCount(for: streams * shape.blocks) + Buffer<Shared>.byteCount(for: streams)
      + Buffer<Consumer>.byteCount(for: streams) + Buffer<Int>.byteCount(for: streams)
  }

  init(_ configuration: StreamConfiguration, ledger: MemoryLedger) throws(StreamError) {
    streams = configuration.streams
    shape = Shape(streams: streams)
    layout = TokenLayout(configuration)
    bytes = try .stream(streams * shape.blocks * shape.blockBytes, for: "token buffers", ledger: ledger)
    headers = try .stream(streams * shape.blocks, for: "token buffers", ledger: ledger)
    shared = try .stream(streams, for: "token buffers", ledger: ledger)
    consumers = try .stream(streams, for: "token buffers", ledger: ledger)
    writing = try .stream(streams, for: "token buffers", ledger: ledger)
  }

  /// All blocks, for passing use before the reader starts.
  var space: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(bytes.elements) }

  private func memory(stream: Int, block: Int) -> UnsafeMutableRawBufferPointer {
    let start = (stream * shape.blocks + block) * shape.blockBytes
    return UnsafeMutableRawBufferPointer(start: bytes.pointer + start, count: shape.blockBytes)
  }

  // MARK: The reader's side

  /// Waits for a block to fill; nil when there is nothing more to do.
  func nextFree() -> (stream: Int, memory: UnsafeMutableRawBufferPointer)? {
    monitor.lock()
    defer { monitor.unlock() }
    while !stopped {
      var open = false
      for step in 0..<streams {
        let stream = (turn + step) % streams
        if shared[stream].closed { continue }
        open = true
        if shared[stream].filled < shape.blocks {
          turn = (stream + 1) % streams
          return (stream, memory(stream: stream, block: writing[stream]))
        }
      }
      if !open { return nil }
      monitor.wait(.reader)
    }
    return nil
  }

  func publish(_ filled: Filled, stream: Int) {
    monitor.lock()
    defer { monitor.unlock() }
    if filled.tokens > 0 {
      headers[stream * shape.blocks + writing[stream]] = Header(tokens: filled.tokens, point: filled.point)
      writing[stream] = (writing[stream] + 1) % shape.blocks
      shared.pointer[stream].filled += 1
    }
    if let failure = filled.failure { failures[stream] = failure }
    if filled.failure != nil || filled.isEnd { shared.pointer[stream].closed = true }
    monitor.signal(.consumer)
  }

  // MARK: The consumer's side

  /// Asked, with the seconds of the wait so far, while the consumer waits for a reader that has nothing, as on a quiet pipe.
  var isInterrupted: (Double) -> Bool = { _ in false }

  /// Copies up to `count` tokens, at least one; 0 at the end. Waits for the reader where it must.
  ///
  /// - Parameter place: the place of the last token copied.
  /// - Throws: what the reader found, once all tokens before it are taken.
  func take(
    stream: Int, into row: UnsafeMutablePointer<UInt32>, count: Int, place: inout RestartPoint?
  ) throws(StreamError) -> Int {
    let consumer = consumers.pointer + stream
    if consumer.pointee.offset == 0 {
      guard try awaitBlock(stream) else { return 0 }
    }
    let header = headers[stream * shape.blocks + consumer.pointee.block]
    let offset = consumer.pointee.offset
    let taken = min(count, header.tokens - offset)
    let source = bytes.pointer + (stream * shape.blocks + consumer.pointee.block) * shape.blockBytes
    layout.copy(source + layout.type.bytes(of: offset), to: row, count: taken)
    place = header.point.advanced(by: offset + taken - 1, of: layout.type)
    consumer.pointee.offset += taken
    if consumer.pointee.offset == header.tokens {
      consumer.pointee.offset = 0
      consumer.pointee.block = (consumer.pointee.block + 1) % shape.blocks
      monitor.lock()
      shared.pointer[stream].filled -= 1
      monitor.signal(.reader)
      monitor.unlock()
    }
    return taken
  }

  private func awaitBlock(_ stream: Int) throws(StreamError) -> Bool {
    monitor.lock()
    defer { monitor.unlock() }
    if shared[stream].filled == 0 && !shared[stream].closed {
      let start = Self.now()
      defer { waited += Self.now() - start }
      while shared[stream].filled == 0 && !shared[stream].closed {
        if isInterrupted(Double(Self.now() - start) / 1e9) {
          throw StreamError(.interrupted, "reading was interrupted")
        }
        monitor.waitBriefly(.consumer)
      }
    }
    if shared[stream].filled > 0 { return true }
    if let failure = failures[stream] { throw failure }
    return false
  }

  /// Makes the reader leave.
  func stop() {
    monitor.lock()
    stopped = true
    monitor.signal(.reader)
    monitor.unlock()
  }

  private static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
