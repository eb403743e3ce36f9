import CLongzooLZ4
import LongzooMemory

/// An lz4 frame context, used for one frame after the other. The only file that calls liblz4.
final class LZ4Decompressor {
  private let context: OpaquePointer

  init() throws(StreamError) {
    var context: OpaquePointer?
    let result = LZ4F_createDecompressionContext(&context, UInt32(LZ4F_VERSION))
    guard LZ4F_isError(result) == 0, let context else {
      throw StreamError(.inputOutput, DecodeStep.noMemory(of: "lz4"))
    }
    self.context = context
  }

  deinit {
    LZ4F_freeDecompressionContext(context)
  }

  /// Forgets what is left of a frame; the next bytes are the start of another.
  func begin() {
    LZ4F_resetDecompressionContext(context)
  }

  func decode(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) -> DecodeStep {
    var consumed = input.count
    var produced = output.count
    let result = LZ4F_decompress(context, output.baseAddress, &produced, input.baseAddress, &consumed, nil)
    guard LZ4F_isError(result) == 0 else {
      // The counts say nothing after an error.
      let name = String(cString: LZ4F_getErrorName(result))
      return DecodeStep(failure: Self.reason(name), lacksMemory: name == Self.noMemory)
    }
    return DecodeStep(consumed: consumed, produced: produced, frameEnded: result == 0)
  }

  private static let noMemory = "ERROR_allocation_failed"

  private static func reason(_ name: String) -> Wording {
    switch name {
    case noMemory: DecodeStep.noMemory(of: "lz4")
    case "ERROR_contentChecksum_invalid": "the checksum of the lz4 frame does not match its content"
    case "ERROR_blockChecksum_invalid": "the checksum of an lz4 block does not match it"
    case "ERROR_headerChecksum_invalid": "the checksum of the lz4 header does not match it"
    default: "the lz4 frame is damaged (\(name))"
    }
  }
}
