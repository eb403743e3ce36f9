import LongzooMemory

/// Which tokens there are, and how they are stored. What cannot be meant is refused where it is used.
public struct DataConfiguration: Equatable, Sendable {
  /// Files that are one stream, in this order; or one pipe, of which "-" is standard input.
  @Choice public var paths: [String] = []
  /// How tokens are stored.
  @Choice public var tokenType = TokenType.u8
  /// How files are packed.
  @Choice public var compression = CompressionChoice.auto
  /// How the tokens lie in the unpacked bytes of a file.
  @Choice public var format = FormatChoice.auto
  /// The number of ids, at least 1; a larger id in the data is an error.
  @Choice public var vocabularySize = 256
  /// Whether the highest bit of a stored token is a mark; in memory the mark is bit 31.
  @Choice public var targets = TargetChoice.all
  /// The last part of the tokens, which is held out of training, at most 1; 0: none. Files only.
  @Choice public var holdoutFraction = 0.0
  /// The number of tokens that the data must have, with those left out; nil: any.
  @Choice public var expectTokens: Int?
  /// Tokens that are left out at the beginning, 0 to 2^56.
  @Choice public var skipTokens = 0
  /// The largest zstd window that is accepted, as a power of two (10 … 31).
  @Choice public var zstdWindowLog = 27

  public init() {}

  /// Whether a part is held out.
  package var holdsOut: Bool { holdoutFraction != 0 }

  /// What no data could make right.
  func validate() throws(StreamError) {
    try require(!paths.isEmpty, "no data: name at least one file, or - for standard input")
    try require(
      paths.count == 1 || !paths.contains("-"),
      "standard input (-) cannot be one of several files; join them before the pipe, as in cat a - b")
    try require(
      vocabularySize >= 1, "a vocabulary of \(vocabularySize) tokens; \(.vocabularySize) must be at least 1")
    try require(
      (0...(1 << 56)).contains(skipTokens), "\(.skipTokens) \(skipTokens) is not from 0 to 2^56")
    try require(
      (0...(1 << 56)).contains(expectTokens ?? 0),
      "\(.expectTokens) \(expectTokens ?? 0) is not from 0 to 2^56")
    try require(
      (0...1).contains(holdoutFraction), "\(.holdoutFraction) \(holdoutFraction) is not between 0 and 1")
    try require(
      (10...31).contains(zstdWindowLog), "\(.zstdWindowLog) \(zstdWindowLog) is not from 10 to 31")
  }
}
