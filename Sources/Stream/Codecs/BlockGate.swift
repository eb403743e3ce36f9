/// Lets a codec have one block at a time.
///
/// After an error the codecs do not say how much they wrote in that call. So a call never gets more than the rest
/// of one block, and none while output is still to be flushed: then all that was decoded before the error is handed
/// out, and where the error is found does not depend on how the file happened to be cut into reads.
struct BlockGate {
  private let header: FrameHeader
  private let format: FrameFormat
  /// Bytes until the next block header.
  private var rest: Int
  private var isLast = false
  /// The last call filled its output, so there may be more.
  private var isFlushing = false

  /// At the start of a frame.
  init(_ header: FrameHeader, _ format: FrameFormat) {
    self.header = header
    self.format = format
    rest = header.length
  }

  /// One step of a codec, with as much of `input` as is safe.
  mutating func step(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer,
    by decompressor: any Decompressor
  ) -> DecodeStep {
    if isFlushing {
      let step = decompressor.decode(UnsafeRawBufferPointer(rebasing: input[..<0]), into: output)
      isFlushing = step.produced == output.count
      if step.produced > 0 || step.frameEnded || step.failure != nil { return step }
    }
    if rest == 0 { readHeader(input) }
    let part = UnsafeRawBufferPointer(rebasing: input[..<min(rest, input.count)])
    let step = decompressor.decode(part, into: output)
    rest -= step.consumed
    isFlushing = step.produced == output.count
    return step
  }

  /// Learns the size of the next block; leaves `rest` at 0 if its header is not yet there.
  private mutating func readHeader(_ input: UnsafeRawBufferPointer) {
    if isLast {
      // Only a checksum follows, and the codec takes no more than that.
      rest = 4
      return
    }
    guard input.count >= format.blockHeaderBytes else { return }
    let block = format.block(Int(input.littleEndian(format.blockHeaderBytes, at: 0)), header)
    isLast = block.isLast
    rest = format.blockHeaderBytes + block.bytes
  }
}
