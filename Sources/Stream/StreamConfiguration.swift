import LongzooMemory

/// Where tokens come from and how they are cut: everything that `TokenFeed` and `HeldOutReader` need to know.
public struct StreamConfiguration: Sendable {
  /// Files in the order in which they form one stream; `["-"]` is standard input.
  public var paths: [String]
  public var tokenType: TokenType
  public var compression: CompressionChoice
  public var format = FormatChoice.auto
  /// Called with a sentence where the data looks as if it was read in a wrong width; of a pipe on the reader's thread.
  public var notify: (@Sendable (Wording) -> Void)?
  /// Whether the highest bit of a stored token is a mark. In memory the mark is bit 31.
  public var targets = TargetChoice.all
  /// Ids from here on are an error.
  public var vocabularySize: Int
  /// Whether the vocabulary is that of a trained model, which no option widens: for the advice of errors.
  public var isVocabularyFixed = false
  /// Positions of the data that are read in parallel; 1 for a pipe.
  public var streams: Int
  /// The largest count that `TokenFeed.next` is ever asked for, in tokens.
  public var chunkTokens: Int
  /// Tokens at the start of the data that are left out.
  public var skipTokens: Int
  /// The number of tokens that the data must have, with those left out; nil: any number.
  public var expectTokens: Int?
  /// The last part of the tokens, which is held out of training; nil: none. Files only.
  public var holdoutFraction: Double?
  /// The largest zstd window that is accepted, as a power of two (10 … 31).
  public var zstdWindowLog: Int
  /// The containers that files are looked at for.
  var containers = Container.all
  /// Asked while data is counted or unpacked, before the first token is handed out: true ends that with an error of code
  /// `interrupted`. nil: nobody interrupts.
  public var isInterrupted: (@Sendable () -> Bool)?
  /// Whether `TokenFeed.trainingTokens` is wanted even where counting them means to decode files one time more.
  public var countsTokens = false
  /// The folder for unpacked copies; nil: `$TMPDIR`, or else /var/tmp, or else /tmp.
  public var scratchFolder: String?
  /// The descriptor that "-" stands for. It is not closed.
  public var inputDescriptor: Int32

  public init(
    paths: [String], tokenType: TokenType = .u8, compression: CompressionChoice = .auto,
    vocabularySize: Int = 256, streams: Int = 1, chunkTokens: Int, skipTokens: Int = 0,
    expectTokens: Int? = nil, holdoutFraction: Double? = nil, zstdWindowLog: Int = 27,
    scratchFolder: String? = nil, inputDescriptor: Int32 = 0
  ) {
    self.paths = paths
    self.tokenType = tokenType
    self.compression = compression
    self.vocabularySize = vocabularySize
    self.streams = streams
    self.chunkTokens = chunkTokens
    self.skipTokens = skipTokens
    self.expectTokens = expectTokens
    self.holdoutFraction = holdoutFraction
    self.zstdWindowLog = zstdWindowLog
    self.scratchFolder = scratchFolder
    self.inputDescriptor = inputDescriptor
  }

  /// What no data could make right.
  func validate() throws(StreamError) {
    func require(_ condition: Bool, _ text: @autoclosure () -> Wording) throws(StreamError) {
      if !condition { throw StreamError(.invalidConfiguration, text()) }
    }
    try require(!paths.isEmpty, "no data: name at least one file, or - for standard input")
    try require(
      paths.count == 1 || !paths.contains("-"),
      "standard input (-) cannot be one of several files; join them before the pipe, as in cat a - b")
    try require(
      vocabularySize >= 1, "a vocabulary of \(vocabularySize) tokens; \(.vocabularySize) must be at least 1")
    try require(
      (1...(1 << 20)).contains(streams), "\(streams) streams; \(.streams) must be from 1 to \(1 << 20)")
    try require(
      (1...(1 << 40)).contains(chunkTokens), "chunks of \(chunkTokens) tokens; they must have from 1 to 2^40")
    try require(
      (0...(1 << 56)).contains(skipTokens), "\(.skipTokens) \(skipTokens) is not from 0 to 2^56")
    try require(
      (0...(1 << 56)).contains(expectTokens ?? 0),
      "\(.expectTokens) \(expectTokens ?? 0) is not from 0 to 2^56")
    let fraction = holdoutFraction ?? 1
    try require(fraction > 0 && fraction <= 1, "\(.holdoutFraction) \(fraction) is not between 0 and 1")
    try require(
      (10...31).contains(zstdWindowLog), "\(.zstdWindowLog) \(zstdWindowLog) is not from 10 to 31")
  }
}
