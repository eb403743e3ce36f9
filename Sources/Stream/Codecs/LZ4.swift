import CLongzooLZ4
import LongzooMemory

extension Codec {
  static let lz4 = Codec(
    name: "lz4", fileEndings: [".lz4"], tool: "lz4 -dc",
    frames: FrameFormat(
      magic: 0x184D_2204, isMagicSure: false,
      outdated: OutdatedFrames(
        magic: 0x184C_2102, problem: "is in the legacy lz4 format, which has no checksums",
        advice: """
          recompress it with lz4 -dc FILE | lz4 - NEW.lz4, or say \(.compression) none if these are tokens
          """),
      header: LZ4Frames.header, blockHeaderBytes: 4, block: LZ4Frames.block,
      // A block in, a block out with 128 KiB of history, and a small context.
      memory: { block in 2 * block + 256 * 1024 },
      largestWorkspace: { _ in .max },
      tooLarge: { _, _ in ("the lz4 block is too large", "recompress the data") },
      makeDecompressor: { (_) throws(StreamError) in try LZ4Decompressor() }))
}

/// The parts of an lz4 frame (its frame format, version 1.6) that say how long it is and what it needs.
private enum LZ4Frames {
  @Sendable static func header(_ bytes: UnsafeRawBufferPointer) -> FrameHeader? {
    guard bytes.count >= 7 else { return nil }
    let flags = bytes[4]
    let descriptor = bytes[5]
    let sizeBytes = flags & 0x08 != 0 ? 8 : 0
    let dictionaryBytes = flags & 0x01 != 0 ? 4 : 0
    let length = 7 + sizeBytes + dictionaryBytes
    guard bytes.count >= length else { return nil }
    let code = Int(descriptor >> 4) & 7
    let hash = shortXXH32(UnsafeRawBufferPointer(rebasing: bytes[4..<(length - 1)]))
    let isValid =
      flags >> 6 == 1 && flags & 0x02 == 0 && descriptor & 0x8F == 0 && code >= 4
      && UInt8(truncatingIfNeeded: hash >> 8) == bytes[length - 1]
    return FrameHeader(
      codec: .lz4, length: length, workspace: 1 << (8 + 2 * max(code, 4)),
      contentSize: sizeBytes > 0 ? Int(min(bytes.littleEndian(8, at: 6), 1 << 60)) : nil,
      blockChecksumBytes: flags & 0x10 != 0 ? 4 : 0, checksumBytes: flags & 0x04 != 0 ? 4 : 0,
      needsDictionary: dictionaryBytes > 0, isValid: isValid)
  }

  /// A size of 0 ends the frame; the highest bit marks a block that is stored as it is.
  @Sendable static func block(_ word: Int, of header: FrameHeader) -> FrameBlock {
    word == 0
      ? FrameBlock(bytes: 0, isLast: true)
      : FrameBlock(bytes: (word & 0x7fff_ffff) + header.blockChecksumBytes, isLast: false)
  }
}

/// An lz4 frame context, used for one frame after the other. The only file that calls liblz4.
private final class LZ4Decompressor: Decompressor {
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

  var byteCount: Int { 0 }

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
