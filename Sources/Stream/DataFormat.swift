import LongzooMemory

/// The two codecs.
enum Codec: String {
  case zstd, lz4
}

/// How the bytes of a file are to be understood.
enum DataFormat: Equatable {
  case plain
  /// Frames of one codec; nil: it begins with a skippable frame, and the first real one tells.
  case frames(Codec?)

  /// Decides by the first bytes, the user's choice and the name; nil: more bytes are needed.
  ///
  /// - Throws: `.badData` if the data is not what the choice or the name says.
  static func detect(
    _ start: UnsafeRawBufferPointer, atEnd: Bool, choice: CompressionChoice, name: String
  ) throws(StreamError) -> DataFormat? {
    if choice == .none { return .plain }
    var expected: Codec? = choice == .zstd ? .zstd : choice == .lz4 ? .lz4 : nil
    if choice == .auto {
      if name.hasSuffix(".zst") || name.hasSuffix(".zstd") { expected = .zstd }
      if name.hasSuffix(".lz4") { expected = .lz4 }
    }
    switch FrameHead(start) {
    case .incomplete where !atEnd: return nil
    case .zstd where expected != .lz4: return .frames(.zstd)
    case .lz4(let head) where expected == .lz4 || (expected == nil && head.valid): return .frames(.lz4)
    case .skippable: return .frames(expected)
    case .legacyLZ4 where expected != .zstd: throw legacy(name)
    default: break
    }
    guard let expected else { return .plain }
    if start.isEmpty { throw StreamError(.badData, "is empty", file: name, compressedOffset: 0) }
    throw StreamError(
      .badData, "does not begin with a complete \(expected.rawValue) frame header",
      advice: "say \(.compression) none if the data is not compressed", file: name, compressedOffset: 0)
  }

  static func legacy(_ name: String) -> StreamError {
    StreamError(
      .badData, "is in the legacy lz4 format, which has no checksums",
      advice:
        "recompress it with lz4 -dc FILE | lz4 - NEW.lz4, or say \(.compression) none if these are tokens",
      file: name, compressedOffset: 0)
  }
}
