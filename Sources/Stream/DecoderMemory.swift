import LongzooMemory

/// What decompressors need by the headers of the frames, in bytes: 0 of a kind for which there is no frame.
struct DecoderNeed: Equatable {
  var zstdWindow = 0
  var lz4Block = 0

  /// A bound of what the libraries allocate.
  ///
  /// zstd: the window, one block of 128 KiB in and one out, and a context of less than 200 KB.
  /// lz4: a block in, a block out with 128 KiB of history, and a small context.
  var byteCount: Int {
    (zstdWindow == 0 ? 0 : zstdWindow + 512 * 1024) + (lz4Block == 0 ? 0 : 2 * lz4Block + 256 * 1024)
  }

  func union(_ other: DecoderNeed) -> DecoderNeed {
    DecoderNeed(
      zstdWindow: max(zstdWindow, other.zstdWindow), lz4Block: max(lz4Block, other.lz4Block))
  }
}

/// The reservation for the memory that libzstd and liblz4 allocate by themselves.
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
