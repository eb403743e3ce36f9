import LongzooMemory

/// What decompressors need by the headers of the frames.
struct DecoderNeed: Equatable {
  /// The largest workspace of each codec for which there is a frame, in bytes.
  private var workspaces: [String: Int] = [:]

  init() {}
  init(_ codec: Codec, workspace: Int) { workspaces[codec.name] = workspace }
  init(_ frame: FrameHeader) { self.init(frame.codec, workspace: frame.workspace) }

  /// A bound of what the libraries allocate.
  var byteCount: Int {
    Codec.packers.reduce(0) { sum, codec in
      sum + (workspaces[codec.name].flatMap { codec.frames?.memory($0) } ?? 0)
    }
  }

  func union(_ other: DecoderNeed) -> DecoderNeed {
    var both = self
    both.workspaces.merge(other.workspaces) { max($0, $1) }
    return both
  }
}

/// The reservation for the memory that the libraries of codecs allocate by themselves.
///
/// It grows before the frame that needs more is decoded, and is never given back in between: a context keeps its
/// largest buffer.
final class DecoderMemory {
  private(set) var need = DecoderNeed()
  private let ledger: MemoryLedger

  init(ledger: MemoryLedger) {
    self.ledger = ledger
  }

  deinit {
    ledger.release(need.byteCount, .stream)
  }

  func grow(to other: DecoderNeed) throws(StreamError) {
    let larger = need.union(other)
    guard larger != need else { return }
    do {
      try ledger.reserve(larger.byteCount - need.byteCount, .stream, for: "decompression")
    } catch {
      throw StreamError(error)
    }
    need = larger
  }
}

extension Buffer {
  /// A buffer of category `.stream`, with the refusal as a `StreamError`.
  static func stream(
    _ count: Int, for purpose: String, ledger: MemoryLedger
  ) throws(StreamError) -> Buffer {
    do {
      return try Buffer(count: count, .stream, for: purpose, ledger: ledger)
    } catch {
      throw StreamError(error)
    }
  }
}
