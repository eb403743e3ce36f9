import LongzooMemory

/// A place in a compressed file, and what can be wrong there.
struct FrameSite {
  var file: String?
  /// Stored bytes before the place.
  var offset: Int

  static let cutOff: Wording = "it is cut off or was not written to its end: make it anew"

  func error(_ text: Wording, advice: Wording) -> StreamError {
    StreamError(.badData, text, advice: advice, file: file, compressedOffset: offset)
  }

  /// - Parameter codec: that of the frames before; nil: there was none.
  func garbage(after codec: Codec?) -> StreamError {
    let kind = codec.map { "\($0.rawValue) frame" } ?? "zstd or lz4 frame"
    if offset == 0 {
      return error(
        "does not begin with a \(kind)", advice: "say \(.compression) none if the data is not compressed")
    }
    return error(
      "what follows the last frame is no \(kind)", advice: "cut the file off here, or make it anew")
  }

  /// Refuses a zstd frame that cannot be decoded within the cap.
  func requireZstd(window: Int, zstdWindowLog: Int, dictionary: Bool) throws(StreamError) {
    if dictionary {
      throw error("the zstd frame needs a dictionary", advice: "recompress the data without one")
    }
    guard window > 1 << zstdWindowLog else { return }
    let log = Int.bitWidth - (window - 1).leadingZeroBitCount
    let size = ByteSize.formatted(window)
    let cap = ByteSize.formatted(1 << zstdWindowLog)
    throw error(
      "the zstd window of \(size) is over the cap of \(cap)",
      advice: log <= 31
        ? "say \(.zstdWindowLog) \(log) to allow so much memory, or recompress without --long"
        : "no \(.zstdWindowLog) allows so much; recompress the data")
  }

  /// Refuses an lz4 frame whose header is damaged or asks for what is not there.
  func requireLZ4(_ head: FrameHead.LZ4Head) throws(StreamError) {
    if !head.valid {
      throw error("the lz4 frame header is damaged", advice: "make the file anew")
    }
    if head.dictionary {
      throw error("the lz4 frame needs a dictionary", advice: "recompress the data without one")
    }
  }
}
