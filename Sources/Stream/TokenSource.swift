import LongzooMemory

/// Where the reader thread gets tokens from.
protocol TokenSource: AnyObject {
  /// Puts the next tokens of a stream into `block`, in their own width, checked against the vocabulary.
  ///
  /// An error is returned with the tokens before it, never thrown: they are still good.
  func fill(stream: Int, into block: UnsafeMutableRawBufferPointer) -> Filled
}

/// What was put into a block. No tokens and no failure: the end.
struct Filled {
  var tokens = 0
  /// The place of the first token.
  var point = RestartPoint()
  var failure: StreamError?

  var isEnd: Bool { tokens == 0 && failure == nil }
}

/// Tokens in their own width, as they lie in a block.
struct TokenLayout {
  let type: TokenType
  let vocabularySize: Int
  let targets: TargetChoice
  private let isVocabularyFixed: Bool

  init(_ configuration: StreamConfiguration) {
    type = configuration.tokenType
    vocabularySize = configuration.vocabularySize
    targets = configuration.targets
    isVocabularyFixed = configuration.isVocabularyFixed
  }

  /// The first of `count` tokens whose id is not in the vocabulary.
  func firstOutside(_ bytes: UnsafeRawBufferPointer, count: Int) -> (place: Int, id: UInt32)? {
    guard vocabularySize < type.range(targets) else { return nil }
    let bound = UInt32(vocabularySize)
    let mask = UInt32(type.range(targets) - 1)
    switch type {
    case .u8: return Self.firstOutside(bytes, count, UInt8(bound), UInt8(mask))
    case .u16: return Self.firstOutside(bytes, count, UInt16(bound), UInt16(mask))
    case .u32: return Self.firstOutside(bytes, count, bound, mask)
    }
  }

  private static func firstOutside<ID: FixedWidthInteger & BitwiseCopyable>(
    _ bytes: UnsafeRawBufferPointer, _ count: Int, _ bound: ID, _ mask: ID
  ) -> (place: Int, id: UInt32)? {
    let stride = MemoryLayout<ID>.size
    // The maximum first: that loop is vectorised, and nearly always the only one.
    var largest: ID = 0
    for index in 0..<count {
      largest = max(
        largest, ID(littleEndian: bytes.loadUnaligned(fromByteOffset: index * stride, as: ID.self)) & mask)
    }
    guard largest >= bound else { return nil }
    for index in 0..<count {
      let id = ID(littleEndian: bytes.loadUnaligned(fromByteOffset: index * stride, as: ID.self)) & mask
      if id >= bound { return (index, UInt32(id)) }
    }
    return nil
  }

  /// Widens `count` tokens.
  func copy(_ bytes: UnsafePointer<UInt8>, to row: UnsafeMutablePointer<UInt32>, count: Int) {
    switch type {
    case .u8: for index in 0..<count { row[index] = UInt32(bytes[index]) }
    case .u16: Self.copy(bytes, as: UInt16.self, to: row, count: count)
    case .u32: Self.copy(bytes, as: UInt32.self, to: row, count: count)
    }
    if targets == .marked { moveMarks(row, count: count) }
  }

  /// Whether one of the stored tokens is not marked.
  func hasTarget(_ bytes: UnsafePointer<UInt8>, from first: Int, count: Int) -> Bool {
    // The mark is in the last byte of a token.
    (first..<max(first, count)).contains { bytes[type.bytes(of: $0 + 1) - 1] & 0x80 == 0 }
  }

  /// From the highest stored bit to bit 31.
  private func moveMarks(_ row: UnsafeMutablePointer<UInt32>, count: Int) {
    let shift = UInt32(32 - 8 * type.width)
    let mask = UInt32(type.range(.marked) - 1)
    for index in 0..<count { row[index] = row[index] & mask | (row[index] & ~mask) &<< shift }
  }

  private static func copy<ID: FixedWidthInteger & BitwiseCopyable>(
    _ bytes: UnsafePointer<UInt8>, as: ID.Type, to row: UnsafeMutablePointer<UInt32>, count: Int
  ) {
    let raw = UnsafeRawPointer(bytes)
    for index in 0..<count {
      let offset = index * MemoryLayout<ID>.size
      row[index] = UInt32(ID(littleEndian: raw.loadUnaligned(fromByteOffset: offset, as: ID.self)))
    }
  }

  func outside(_ id: UInt32, token: Int, file: String, offset: Int?) -> StreamError {
    var error = StreamError(
      .badData, "the id \(id) is outside the vocabulary of \(vocabularySize) tokens",
      advice: isVocabularyFixed
        ? "check \(.tokenType) (now \(type.rawValue)), and that this is data for the model"
        : "set \(.vocabularySize) to more than the largest id, or check \(.tokenType) (now \(type.rawValue))",
      file: file, compressedOffset: offset, tokenIndex: token)
    error.isOfVocabulary = true
    return error
  }

  func unexpectedEnd(_ count: Int, expected: Int, file: String) -> StreamError {
    StreamError(
      .badData, "the data ends after \(count) of the \(expected) tokens that \(.expectTokens) names",
      advice: "the producer may have failed (set -o pipefail), or the file is cut off", file: file,
      tokenIndex: count)
  }

  func unexpectedMore(expected: Int, file: String) -> StreamError {
    StreamError(
      .badData, "the data goes on after the \(expected) tokens that \(.expectTokens) names",
      advice: "check that this is the data that was meant", file: file, tokenIndex: expected)
  }
}
