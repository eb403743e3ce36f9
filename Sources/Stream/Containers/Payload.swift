import LongzooMemory

/// The part of a file's decoded bytes that is tokens.
struct Payload: Equatable, Sendable {
  /// Decoded bytes before the first token.
  var start: Int
  /// Those up to the end of the last; nil: all that the file has.
  var end: Int?
  /// How the tokens are stored, where the file says it.
  var tokenType: TokenType?

  /// The whole file.
  static let whole = Payload(start: 0)

  /// The bytes of tokens in a file with `size` decoded bytes.
  /// - Throws: `.badData` for a file that ends before its payload does.
  func byteCount(of size: Int, file: String) throws(StreamError) -> Int {
    guard size >= start, size >= end ?? 0 else {
      throw StreamError(
        .badData, "ends after \(size) bytes, before the last of its tokens",
        advice: "it is cut off or was not written to its end: make it anew", file: file)
    }
    return (end ?? size) - start
  }
}
