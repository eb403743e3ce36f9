import CLongzooZstd
import LongzooMemory

/// What one call of a decompressor did.
struct DecodeStep {
  var consumed = 0
  var produced = 0
  var frameEnded = false
  /// Set if the frame cannot be decoded, with what is wrong about it.
  var failure: Wording?
  /// The frame may be sound, but the system refused the memory to decode it.
  var lacksMemory = false

  static func noMemory(of codec: String) -> Wording {
    "the system has no memory left for decompression by \(codec)"
  }
}

/// A zstd context, used for one frame after the other. The only file that calls libzstd.
final class ZstdDecompressor {
  private let context: OpaquePointer

  init(zstdWindowLog: Int) throws(StreamError) {
    guard let context = ZSTD_createDStream() else {
      throw StreamError(.inputOutput, DecodeStep.noMemory(of: "zstd"))
    }
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Int32(zstdWindowLog))
    self.context = context
  }

  deinit {
    ZSTD_freeDStream(context)
  }

  /// Bytes that libzstd holds for this context.
  var byteCount: Int { ZSTD_sizeof_DStream(context) }

  /// Forgets what is left of a frame; the next bytes are the start of another.
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
