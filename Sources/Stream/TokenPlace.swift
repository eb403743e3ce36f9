import LongzooMemory

extension TokenType {
  /// The bytes of a number of tokens.
  func bytes(of tokens: Int) -> Int { tokens * width }
  /// The whole tokens in a number of bytes.
  func tokens(in bytes: Int) -> Int { bytes / width }
  /// The bytes that those leave over.
  func bytesLeft(of bytes: Int) -> Int { bytes % width }
}

/// Where the tokens of a file lie: between tokens, counted over all of the data, and the file's decoded bytes.
struct TokenPlace {
  let type: TokenType
  /// The index in the data of the file's first token.
  var first = 0
  var payload = Payload.whole

  /// The token that the byte belongs to; for bytes before the payload the first.
  func token(at byte: Int) -> Int { first + type.tokens(in: max(0, byte - payload.start)) }

  /// The first byte of a token.
  func byte(of token: Int) -> Int { payload.start + type.bytes(of: token - first) }

  /// Bytes from `byte` on, at most `limit`, that are all tokens or all none.
  func piece(from byte: Int, limit: Int) -> (bytes: Int, isTokens: Bool) {
    if byte < payload.start { return (min(limit, payload.start - byte), false) }
    guard let end = payload.end else { return (limit, true) }
    return byte < end ? (min(limit, end - byte), true) : (limit, false)
  }

  /// The first token after the file.
  /// - Parameter size: its decoded bytes.
  /// - Throws: `.badData` for a file that is empty, cut off, or ends within a token.
  func end(size: Int, file: String, offset: Int) throws(StreamError) -> Int {
    let bytes = try payload.byteCount(of: size, file: file)
    if bytes == 0 {
      throw StreamError(
        .badData, "holds no tokens: it is empty", advice: "make it anew or leave it out", file: file)
    }
    let (end, left) = (first + type.tokens(in: bytes), type.bytesLeft(of: bytes))
    if left != 0 {
      throw StreamError(
        .badData,
        "ends within a token: \(left) of the \(type.width) bytes of a \(type.rawValue) are there",
        advice: "check \(.tokenType), or whether the file is complete", file: file, compressedOffset: offset,
        tokenIndex: end)
    }
    return end
  }
}
