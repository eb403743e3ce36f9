import LongzooMemory

/// A way in which data is packed: its name, how its frames begin, and how they are decoded.
///
/// To add one: a file with a value of this type, and its place in `all`.
struct Codec: Sendable {
  /// As `DataConfiguration.compression` names it.
  let name: String
  /// What file names end in that promise it.
  let fileEndings: [String]
  /// The shell command that unpacks to standard output; empty for what need not be unpacked.
  let tool: String
  /// How its data is cut into frames; nil: the stored bytes are the data itself.
  let frames: FrameFormat?

  static let all: [Codec] = [.plain, .zstd, .lz4]

  /// Those that pack.
  static let packers = all.filter { $0.frames != nil }

  /// The bytes as they are.
  static let plain = Codec(name: "none", fileEndings: [], tool: "", frames: nil)

  static func named(_ name: String) -> Codec? { all.first { $0.name == name } }
}

extension Codec: Equatable {
  static func == (left: Codec, right: Codec) -> Bool { left.name == right.name }
}

/// Frames of one codec: a header, blocks that each say how long they are, and perhaps a checksum.
struct FrameFormat: Sendable {
  /// The first four bytes of a frame, little-endian.
  let magic: UInt64
  /// Whether the magic alone tells, so that no other data is expected to begin with it.
  let isMagicSure: Bool
  /// An older kind of frame, which is not read.
  var outdated: OutdatedFrames?
  /// Reads the header at the start of the bytes, which begin with the magic; nil: more bytes are needed.
  let header: @Sendable (UnsafeRawBufferPointer) -> FrameHeader?
  /// The header of a block, in bytes; at most 4.
  let blockHeaderBytes: Int
  /// What the header of a block, as a little-endian integer, says.
  let block: @Sendable (Int, FrameHeader) -> FrameBlock
  /// A bound of what the library allocates to decode frames with workspaces of at most this size, in bytes.
  let memory: @Sendable (_ workspace: Int) -> Int
  /// The largest workspace that is decoded, in bytes.
  let largestWorkspace: @Sendable (DecoderLimits) -> Int
  /// What is said of a workspace over the largest one, and what to do.
  let tooLarge: @Sendable (_ workspace: Int, DecoderLimits) -> (problem: Wording, advice: Wording)
  let makeDecompressor: @Sendable (DecoderLimits) throws(StreamError) -> any Decompressor
}

/// Frames that are known and refused.
struct OutdatedFrames: Sendable {
  let magic: UInt64
  let problem: Wording
  let advice: Wording
}

/// One block of a frame, after its header.
struct FrameBlock {
  var bytes: Int
  /// Only a checksum of the frame may follow.
  var isLast: Bool
}

/// What the configuration allows decompressors.
struct DecoderLimits: Sendable {
  /// The largest zstd window, as a power of two.
  var zstdWindowLog: Int

  init(_ configuration: StreamConfiguration) {
    zstdWindowLog = configuration.zstdWindowLog
  }
}

/// A decoder of frames of one codec, one after the other.
protocol Decompressor: AnyObject {
  /// Bytes that the library says it holds; 0 where it does not tell.
  var byteCount: Int { get }
  /// Forgets what is left of a frame; the next bytes are the start of another.
  func begin()
  /// Decodes what there is, as far as the output has space.
  func decode(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> DecodeStep
}

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
