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
    case .frame(let header) where header.codec == .zstd:
      isRight =
        header.contentSize.map { $0 == frame.size }
        ?? (frame.size > 0 || frame.compressedSize <= emptyBytes)
    case .skippable(let size): isRight = size == frame.compressedSize && frame.size == 0
    default: break
    }
    if !isRight { throw Self.mismatch(frame.offset, file: input.name) }
  }

  /// The stored and the decoded size of the frame at `offset`; 0 decoded bytes for a skippable frame.
  private func walk(at offset: Int) throws(StreamError) -> (Int, Int)? {
    switch try FrameHead.read(input, at: offset) {
    case .skippable(let size): return offset + size <= input.size ? (size, 0) : nil
    case .frame(let header): return try walk(header, at: offset)
    default: return nil
    }
  }

  /// From block header to block header; nil where that leads beyond the file, or the content's size is not named.
  private func walk(_ header: FrameHeader, at offset: Int) throws(StreamError) -> (Int, Int)? {
    guard header.isValid, let size = header.contentSize, let format = header.codec.frames else { return nil }
    var position = offset + header.length
    var isLast = false
    while !isLast {
      guard let word = try input.integer(format.blockHeaderBytes, at: position) else { return nil }
      let block = format.block(word, header)
      position += format.blockHeaderBytes + block.bytes
      isLast = block.isLast
    }
    position += header.checksumBytes
    return position <= input.size ? (position - offset, size) : nil
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
