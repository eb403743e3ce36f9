/// Lets a codec have one block at a time.
///
/// After an error the codecs do not say how much they wrote in that call. So a call never gets more than the rest
/// of one block, and none while output is still to be flushed: then all that was decoded before the error is handed
/// out, and where the error is found does not depend on how the file happened to be cut into reads.
struct BlockGate {
  private enum Header {
    case zstd
    case lz4(blockChecksums: Bool)
  }

  private let header: Header
  /// Bytes until the next block header.
  private var rest: Int
  private var isLast = false
  /// The last call filled its output, so there may be more.
  private var isFlushing = false

  /// At the start of a frame.
  static func zstd(headerLength: Int) -> BlockGate { BlockGate(header: .zstd, rest: headerLength) }
  static func lz4(_ head: FrameHead.LZ4Head) -> BlockGate {
    BlockGate(header: .lz4(blockChecksums: head.blockChecksums), rest: head.length)
  }

  private init(header: Header, rest: Int) {
    self.header = header
    self.rest = rest
  }

  /// One step of a codec, with as much of `input` as is safe.
  mutating func step(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer,
    _ decode: (UnsafeRawBufferPointer, UnsafeMutableRawBufferPointer) -> DecodeStep
  ) -> DecodeStep {
    if isFlushing {
      let step = decode(UnsafeRawBufferPointer(rebasing: input[..<0]), output)
      isFlushing = step.produced == output.count
      if step.produced > 0 || step.frameEnded || step.failure != nil { return step }
    }
    if rest == 0 { readHeader(input) }
    let step = decode(UnsafeRawBufferPointer(rebasing: input[..<min(rest, input.count)]), output)
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
    switch header {
    case .zstd:
      guard input.count >= 3 else { return }
      let word = Int(input.littleEndian(3, at: 0))
      isLast = word & 1 != 0
      rest = 3 + ((word >> 1) & 3 == 1 ? 1 : word >> 3)
    case .lz4(let blockChecksums):
      guard input.count >= 4 else { return }
      let word = Int(input.littleEndian(4, at: 0))
      isLast = word == 0
      rest = 4 + (isLast ? 0 : (word & 0x7fff_ffff) + (blockChecksums ? 4 : 0))
    }
  }
}
