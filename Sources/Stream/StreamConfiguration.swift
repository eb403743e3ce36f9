import LongzooMemory

/// How data is read and cut: with its `data`, everything that `TokenFeed` and `HeldOutReader` need to know.
///
/// `configuration.paths` is `configuration.data.paths`, and so with all of its properties. It may hold anything; what cannot be
/// meant is an error of kind `invalidConfiguration` where it is used.
@dynamicMemberLookup
public struct StreamConfiguration: Sendable {
  /// Which tokens there are, and how they are stored.
  public var data: DataConfiguration
  /// Positions of the data that are read in parallel, 1 to 2^20; 1 for a pipe.
  public var streams: Int
  /// The largest count that `TokenFeed.next` is ever asked for, in tokens.
  public var chunkTokens: Int
  /// Called with a warning where the data looks as if it was read in a wrong width; nil: nobody looks.
  ///
  /// It is called once at most, and for a pipe on the reader's thread.
  public var notify: (@Sendable (Wording) -> Void)?
  /// Whether the vocabulary is that of a trained model, which no setting widens: for the advice of errors.
  public var isVocabularyFixed = false
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
  public var inputDescriptor: Int32 = 0

  /// What is not named here is set afterwards. Nothing is looked at yet, so nothing can fail.
  public init(_ data: DataConfiguration, streams: Int, chunkTokens: Int) {
    (self.data, self.streams, self.chunkTokens) = (data, streams, chunkTokens)
  }

  public subscript<Value>(dynamicMember property: WritableKeyPath<DataConfiguration, Value>) -> Value {
    get { data[keyPath: property] }
    set { data[keyPath: property] = newValue }
  }

  /// What no data could make right.
  func validate() throws(StreamError) {
    try data.validate()
    try require(
      (1...(1 << 20)).contains(streams), "\(streams) streams; \(.streams) must be from 1 to \(1 << 20)")
    try require(
      (1...(1 << 40)).contains(chunkTokens), "chunks of \(chunkTokens) tokens; they must have from 1 to 2^40")
  }
}

/// Throws what a configuration cannot mean.
func require(_ condition: Bool, _ text: @autoclosure () -> Wording) throws(StreamError) {
  if !condition { throw StreamError(.invalidConfiguration, text()) }
}
