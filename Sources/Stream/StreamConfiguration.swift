import LongzooMemory

/// Where tokens come from and how they are cut: everything that `TokenFeed` and `HeldOutReader` need to know.
///
/// It may hold anything; what cannot be meant is an error of kind `invalidConfiguration` where it is used.
public struct StreamConfiguration: Sendable {
  /// Files in the order in which they form one stream; `["-"]` is standard input.
  public var paths: [String]
  /// How tokens are stored.
  public var tokenType: TokenType
  /// How files are packed.
  public var compression: CompressionChoice
  /// How the tokens lie in the unpacked bytes of a file.
  public var format = FormatChoice.auto
  /// Called with a warning where the data looks as if it was read in a wrong width; nil: nobody looks.
  ///
  /// It is called once at most, and for a pipe on the reader's thread.
  public var notify: (@Sendable (Wording) -> Void)?
  /// Whether the highest bit of a stored token is a mark; in memory the mark is bit 31.
  public var targets = TargetChoice.all
  /// The number of ids, at least 1; a larger id in the data is an error of kind `badData`.
  public var vocabularySize: Int
  /// Whether the vocabulary is that of a trained model, which no setting widens: for the advice of errors.
  public var isVocabularyFixed = false
  /// Positions of the data that are read in parallel, 1 to 2^20; 1 for a pipe.
  public var streams: Int
  /// The largest count that `TokenFeed.next` is ever asked for, in tokens.
  public var chunkTokens: Int
  /// Tokens at the start of the data that are left out, 0 to 2^56.
  public var skipTokens: Int
  /// The number of tokens that the data must have, with those left out; nil: any number.
  public var expectTokens: Int?
  /// The last part of the tokens, which is held out of training, over 0 and at most 1; nil: none. Files only.
  public var holdoutFraction: Double?
  /// The largest zstd window that is accepted, as a power of two (10 … 31).
  public var zstdWindowLog: Int
  /// The containers that files are looked at for.
  var containers = Container.all
  /// Asked while data is counted or unpacked, before the first token is handed out: true ends that with an error of kind
  /// `interrupted`. nil: nobody interrupts.
  public var isInterrupted: (@Sendable () -> Bool)?
  /// Whether `TokenFeed.trainingTokens` is wanted even where counting them means to decode files one time more.
  public var countsTokens = false
  /// The folder for unpacked copies; nil: `$TMPDIR`, or else /var/tmp, or else /tmp.
  public var scratchFolder: String?
  /// The descriptor that "-" stands for. It is not closed.
  public var inputDescriptor: Int32

  /// What is not named here is set afterwards. Nothing is looked at yet, so nothing can fail.
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
