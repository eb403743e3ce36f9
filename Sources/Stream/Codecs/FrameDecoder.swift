import LongzooMemory

/// Decodes one frame after the other, of whatever codec each is.
///
/// A codec's decompressor is made for its first frame, and kept.
final class FrameDecoder {
  private let limits: DecoderLimits
  private let memory: DecoderMemory
  private var decompressors: [String: any Decompressor] = [:]
  private var current: (decompressor: any Decompressor, gate: BlockGate)?

  init(_ limits: DecoderLimits, memory: DecoderMemory) {
    self.limits = limits
    self.memory = memory
  }

  /// Bytes that the libraries say they hold, to be compared with what is reserved for them.
  var byteCount: Int { decompressors.values.reduce(0) { $0 + $1.byteCount } }

  /// Makes ready for a frame.
  /// - Parameter site: where it begins, for errors.
  /// - Throws: what cannot be decoded within the limits, and memory that is refused.
  func begin(_ frame: FrameHeader, at site: FrameSite) throws(StreamError) {
    guard let format = frame.codec.frames else { return }
    try site.require(frame, limits)
    try memory.grow(to: DecoderNeed(frame))
    let decompressor = try decompressor(of: frame.codec, format)
    decompressor.begin()
    current = (decompressor, BlockGate(frame, format))
  }

  private func decompressor(of codec: Codec, _ format: FrameFormat) throws(StreamError) -> any Decompressor {
    if let kept = decompressors[codec.name] { return kept }
    let made = try format.makeDecompressor(limits)
    decompressors[codec.name] = made
    return made
  }

  /// One step into the frame, whose first bytes are those of its header.
  func step(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> DecodeStep {
    guard let decompressor = current?.decompressor else { return DecodeStep() }
    return current?.gate.step(input, into: output, by: decompressor) ?? DecodeStep()
  }
}
