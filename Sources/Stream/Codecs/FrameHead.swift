/// The first bytes of a frame, as far as they can be understood without decoding.
enum FrameHead: Equatable {
  case frame(FrameHeader)
  /// The size of the whole frame. All codecs share this kind.
  case skippable(size: Int)
  /// A frame of an older kind.
  case outdated(Codec)
  case unknown
  /// What is there could become a frame; more bytes are needed to tell.
  case incomplete

  /// No header is longer.
  static let maxLength = 19

  private static let skippableMagics: ClosedRange<UInt64> = 0x184D_2A50...0x184D_2A5F

  init(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= 4 else {
      self = Self.couldBeMagic(bytes) ? .incomplete : .unknown
      return
    }
    let magic = bytes.littleEndian(4, at: 0)
    if Self.skippableMagics.contains(magic) {
      self = bytes.count < 8 ? .incomplete : .skippable(size: 8 + Int(bytes.littleEndian(4, at: 4)))
      return
    }
    self = .unknown
    for codec in Codec.packers {
      if codec.frames?.magic == magic { self = codec.frames?.header(bytes).map { .frame($0) } ?? .incomplete }
      if codec.frames?.outdated?.magic == magic { self = .outdated(codec) }
    }
  }

  private static func couldBeMagic(_ bytes: UnsafeRawBufferPointer) -> Bool {
    if bytes.isEmpty { return true }
    let mask = (UInt64(1) << UInt64(8 * bytes.count)) - 1
    let start = bytes.littleEndian(bytes.count, at: 0)
    let magics = Codec.packers.flatMap { [$0.frames?.magic, $0.frames?.outdated?.magic] }
    return magics.contains { $0.map { $0 & mask == start } ?? false }
      || skippableMagics.contains { $0 & mask == start }
  }
}

extension Codec {
  /// Whether the bytes cannot be anything but a frame.
  func surelyBegins(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let frames, bytes.count >= 4, bytes.littleEndian(4, at: 0) == frames.magic else { return false }
    return frames.isMagicSure || frames.header(bytes)?.isValid == true
  }
}

/// The header of a frame that holds data. Sizes are in bytes.
struct FrameHeader: Equatable {
  let codec: Codec
  /// Its own length.
  var length: Int
  /// What has to be held to decode the frame: a window, or a block.
  var workspace: Int
  /// The decoded bytes of the frame, where the header names them.
  var contentSize: Int?
  /// The checksum after each block, and the one after the last.
  var blockChecksumBytes = 0
  var checksumBytes = 0
  var needsDictionary = false
  /// Whether all that can be checked of the header is right. The magic alone could be two tokens.
  var isValid = true
}

extension FrameHeader {
  /// Whether it asks for no more than is allowed.
  func fits(_ limits: DecoderLimits) -> Bool {
    workspace <= codec.frames?.largestWorkspace(limits) ?? .max
  }
}
