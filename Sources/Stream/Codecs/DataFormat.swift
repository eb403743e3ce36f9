import LongzooMemory

/// How the stored bytes of a file are to be understood.
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
    let expected = choice.codec ?? Codec.packers.first { $0.fileEndings.contains { name.hasSuffix($0) } }
    switch FrameHead(start) {
    case .incomplete where !atEnd: return nil
    case .frame(let head) where head.codec == expected || (expected == nil && head.isValid):
      return .frames(head.codec)
    case .skippable: return .frames(expected)
    case .outdated(let codec) where expected == nil || codec == expected:
      throw FrameSite(file: name, offset: 0).outdated(codec)
    default: break
    }
    guard let expected else { return .plain }
    if start.isEmpty { throw StreamError(.badData, "is empty", file: name, compressedOffset: 0) }
    throw StreamError(
      .badData, "does not begin with a complete \(expected.name) frame header",
      advice: "say \(.compression) none if the data is not compressed", file: name, compressedOffset: 0)
  }
}
