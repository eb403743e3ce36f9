import CLongzooZstd
import LongzooMemory

extension Codec {
  static let zstd = Codec(
    name: "zstd", fileEndings: [".zst", ".zstd"], tool: "zstd -dc",
    frames: FrameFormat(
      magic: 0xFD2F_B528, isMagicSure: true, header: ZstdFrames.header, blockHeaderBytes: 3,
      block: ZstdFrames.block,
      // The window, one block of 128 KiB in and one out, and a context of less than 200 KB.
      memory: { window in window + 512 * 1024 },
      largestWorkspace: { limits in 1 << limits.zstdWindowLog }, tooLarge: ZstdFrames.tooLarge,
      makeDecompressor: { (limits) throws(StreamError) in try ZstdDecompressor(limits) }))
}

/// The parts of a zstd frame (RFC 8878) that say how long it is and what it needs.
private enum ZstdFrames {
  @Sendable static func header(_ bytes: UnsafeRawBufferPointer) -> FrameHeader? {
    guard bytes.count >= 5 else { return nil }
    let flags = bytes[4]
    let single = flags & 0x20 != 0
    let dictionaryBytes = [0, 1, 2, 4][Int(flags & 3)]
    let sizeBytes = [single ? 1 : 0, 2, 4, 8][Int(flags >> 6)]
    let windowBytes = single ? 0 : 1
    let length = 5 + windowBytes + dictionaryBytes + sizeBytes
    guard bytes.count >= length else { return nil }

    var contentSize: Int?
    if sizeBytes > 0 {
      let stored = bytes.littleEndian(sizeBytes, at: length - sizeBytes)
      // What no file can hold is kept below 2^60, so that sums of sizes cannot overflow.
      contentSize = Int(min(stored + (sizeBytes == 2 ? 256 : 0), 1 << 60))
    }
    var window = contentSize ?? 0
    if !single {
      let base = 1 << (10 + Int(bytes[5] >> 3))
      window = base + base / 8 * Int(bytes[5] & 7)
    }
    return FrameHeader(
      codec: .zstd, length: length, workspace: max(window, 1024), contentSize: contentSize,
      checksumBytes: flags & 4 != 0 ? 4 : 0,
      needsDictionary: dictionaryBytes > 0 && bytes.littleEndian(dictionaryBytes, at: 5 + windowBytes) != 0)
  }

  /// A block of type 1 is one byte that is repeated.
  @Sendable static func block(_ word: Int, of header: FrameHeader) -> FrameBlock {
    FrameBlock(bytes: (word >> 1) & 3 == 1 ? 1 : word >> 3, isLast: word & 1 != 0)
  }

  @Sendable static func tooLarge(
    _ window: Int, _ limits: DecoderLimits
  ) -> (problem: Wording, advice: Wording) {
    let log = Int.bitWidth - (window - 1).leadingZeroBitCount
    let cap = ByteSize.formatted(1 << limits.zstdWindowLog)
    return (
      "the zstd window of \(ByteSize.formatted(window)) is over the cap of \(cap)",
      log <= 31
        ? "say \(.zstdWindowLog) \(log) to allow so much memory, or recompress without --long"
        : "no \(.zstdWindowLog) allows so much; recompress the data"
    )
  }
}

/// A zstd context, used for one frame after the other. The only file that calls libzstd.
private final class ZstdDecompressor: Decompressor {
  private let context: OpaquePointer

  init(_ limits: DecoderLimits) throws(StreamError) {
    guard let context = ZSTD_createDStream() else {
      throw StreamError(.inputOutput, DecodeStep.noMemory(of: "zstd"))
    }
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Int32(limits.zstdWindowLog))
    self.context = context
  }

  deinit {
    ZSTD_freeDStream(context)
  }

  var byteCount: Int { ZSTD_sizeof_DStream(context) }

  func begin() {
    ZSTD_DCtx_reset(context, ZSTD_reset_session_only)
  }

  func decode(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) -> DecodeStep {
    var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
    var target = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
    let result = ZSTD_decompressStream(context, &target, &source)
    var step = DecodeStep(consumed: source.pos, produced: target.pos, frameEnded: result == 0)
    if ZSTD_isError(result) != 0 {
      step.failure = Self.reason(result)
      step.lacksMemory = ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation
    }
    return step
  }

  private static func reason(_ result: Int) -> Wording {
    switch ZSTD_getErrorCode(result) {
    case ZSTD_error_checksum_wrong: "the checksum of the zstd frame does not match its content"
    case ZSTD_error_dictionary_wrong: "the zstd frame needs a dictionary"
    case ZSTD_error_memory_allocation: DecodeStep.noMemory(of: "zstd")
    default: "the zstd frame is damaged (\(String(cString: ZSTD_getErrorName(result))))"
    }
  }
}
