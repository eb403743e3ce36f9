/// A frame of a file, with sizes that are known without decoding it. All in bytes.
struct FrameReference: Equatable, BitwiseCopyable {
  var file = -1
  /// Counted in the seek table, if there is one.
  var number = 0
  /// Stored bytes before it, and its own.
  var offset = 0
  var compressedSize = 0
  /// Decoded bytes of the file before it, and its own.
  var byte = 0
  var size = 0

  var end: Int { byte + size }
}

/// Lists the frames of a compressed file without decoding: from its seek table, or by walking over frame and block
/// headers where all frames name their content size.
struct FrameLister {
  enum Listing {
    case frame(FrameReference)
    case end
    /// Sizes are not named, or the file is not well-formed: only decoding tells.
    case unknown
  }

  private let input: InputFile
  private let file: Int
  private let table: SeekTable?

  init(_ input: InputFile, file: Int) throws(StreamError) {
    self.input = input
    self.file = file
    table = try SeekTable(input)
  }

  var hasTable: Bool { table != nil }

  static func mismatch(_ offset: Int, file: String) -> StreamError {
    StreamError(
      .badData, "the size of a frame is not the one that the file names for it", advice: "make the file anew",
      file: file, compressedOffset: offset)
  }

  /// The first frame that is not empty.
  func first() throws(StreamError) -> Listing {
    try list(FrameReference(file: file))
  }

  /// The next frame that is not empty.
  func next(after frame: FrameReference) throws(StreamError) -> Listing {
    try list(
      FrameReference(
        file: file, number: frame.number + 1, offset: frame.offset + frame.compressedSize, byte: frame.end))
  }

  private func list(_ start: FrameReference) throws(StreamError) -> Listing {
    var frame = start
    while true {
      if let table {
        guard frame.number < table.count else { return .end }
        guard let entry = try table.entry(frame.number, of: input) else { return .unknown }
        (frame.compressedSize, frame.size) = entry
        try check(frame)
      } else {
        if frame.offset == input.size { return .end }
        guard let sizes = try walk(at: frame.offset) else { return .unknown }
        (frame.compressedSize, frame.size) = sizes
      }
      if frame.size > 0 { return .frame(frame) }
      frame.number += 1
      frame.offset += frame.compressedSize
    }
  }

  /// Holds a table's entry against what the frame says of itself, which may be nothing.
  private func check(_ frame: FrameReference) throws(StreamError) {
    // A header, an empty block and a checksum.
    let emptyBytes = 13
    var isRight = true
    switch try FrameHead.read(input, at: frame.offset) {
    case .zstd(_, _, let size?, _, _): isRight = size == frame.size
    case .zstd: isRight = frame.size > 0 || frame.compressedSize <= emptyBytes
    case .skippable(let size): isRight = size == frame.compressedSize && frame.size == 0
    default: break
    }
    if !isRight { throw Self.mismatch(frame.offset, file: input.name) }
  }

  /// The stored and the decoded size of the frame at `offset`; 0 decoded bytes for a skippable frame.
  private func walk(at offset: Int) throws(StreamError) -> (Int, Int)? {
    var position = offset
    let content: Int
    switch try FrameHead.read(input, at: offset) {
    case .skippable(let size):
      return offset + size <= input.size ? (size, 0) : nil
    case .zstd(let length, _, let size, let checksum, _):
      guard let size else { return nil }
      content = size
      position += length
      var last = false
      while !last {
        guard let header = try integer(3, at: position) else { return nil }
        last = header & 1 != 0
        // A block of type 1 is one byte that is repeated.
        position += 3 + ((header >> 1) & 3 == 1 ? 1 : header >> 3)
      }
      position += checksum ? 4 : 0
    case .lz4(let head):
      guard head.valid, let size = head.contentSize else { return nil }
      content = size
      position += head.length
      while true {
        guard let header = try integer(4, at: position) else { return nil }
        position += 4
        if header == 0 { break }
        position += (header & 0x7fff_ffff) + (head.blockChecksums ? 4 : 0)
      }
      position += head.contentChecksum ? 4 : 0
    default: return nil
    }
    return position <= input.size ? (position - offset, content) : nil
  }

  private func integer(_ width: Int, at offset: Int) throws(StreamError) -> Int? {
    try input.integer(width, at: offset)
  }
}

extension InputFile {
  /// The little-endian integer of at most 4 bytes at `offset`; nil beyond the end of the file.
  func integer(_ width: Int, at offset: Int) throws(StreamError) -> Int? {
    var word: UInt64 = 0
    let complete = try withUnsafeMutableBytes(of: &word) { (bytes) throws(StreamError) -> Bool in
      try readExactly(into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<width]), at: offset)
    }
    return complete ? Int(UInt64(littleEndian: word)) : nil
  }
}
