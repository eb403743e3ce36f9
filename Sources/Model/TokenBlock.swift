import LongzooMemory

/// Consecutive tokens of several streams, [streams][count + 1], whose ids were checked against a vocabulary: what estimators and
/// models read.
///
/// Each row has `count` inputs and, one token further on, their targets; so it overlaps the next block of its stream by a token. The
/// highest bit of a token is its mark (`TokenMark`): a marked token is read, but nobody has to predict it.
///
/// The kernels look a token up in tables without asking whether it is there. The checks are made here, once a block, and an
/// estimator only compares the block's vocabulary with its own.
public struct TokenBlock {
  /// Rows.
  public let streams: Int
  /// Inputs of a row, and just as many targets.
  public let count: Int
  /// Every id is below this.
  public let vocabularySize: Int
  /// Tokens from the beginning of one row to that of the next.
  package let stride: Int
  /// [streams][stride]
  package let pointer: UnsafePointer<UInt32>
  /// Whose tokens these are; nil: somebody else keeps them alive.
  private let owner: Owner?

  private final class Owner {
    let tokens: UnsafeMutableBufferPointer<UInt32>

    init(count: Int) { tokens = .allocate(capacity: count) }
    deinit { tokens.deallocate() }
  }

  /// Tokens that were checked already and stay where they are for as long as the block is used; nothing is copied.
  ///
  /// - Precondition: all ids are below `vocabularySize`; nobody will look.
  package init(
    unchecked pointer: UnsafePointer<UInt32>, streams: Int, stride: Int, count: Int, vocabularySize: Int
  ) {
    precondition(streams >= 1 && count >= 0, "a block of \(streams) streams with \(count) tokens each")
    precondition(streams == 1 || count < stride, "rows of \(count + 1) tokens, \(stride) apart")
    self.pointer = pointer
    self.streams = streams
    self.stride = stride
    self.count = count
    self.vocabularySize = vocabularySize
    owner = nil
  }

  /// A copy of `tokens`, [streams][rows of equal length].
  ///
  /// It allocates at every call, which no ledger is charged with; a row's length bounds it.
  /// - Parameters:
  ///   - streams: rows. The tokens of a row are `tokens.count / streams`, at least one: the last one is a target only.
  ///   - vocabularySize: the model's.
  /// - Throws: `UnknownToken`, which names the first token whose id is not below `vocabularySize`.
  /// - Precondition: the number of tokens is a multiple of `streams`.
  public init(_ tokens: Span<UInt32>, streams: Int, vocabularySize: Int) throws(UnknownToken) {
    precondition(
      streams >= 1 && tokens.count >= streams && tokens.count % streams == 0,
      "\(tokens.count) tokens in \(streams) rows")
    let owner = Owner(count: tokens.count)
    let length = tokens.count / streams
    for index in 0..<tokens.count {
      let token = tokens[index]
      guard Int(token & TokenMark.id) < vocabularySize else {
        throw UnknownToken(
          id: token & TokenMark.id, stream: index / length, position: index % length,
          vocabularySize: vocabularySize)
      }
      owner.tokens[index] = token
    }
    pointer = UnsafePointer(owner.tokens.baseAddress!)
    self.streams = streams
    stride = length
    count = length - 1
    self.vocabularySize = vocabularySize
    self.owner = owner
  }

  /// A copy of rows of equal length, one for each stream; each has at least one token.
  /// - Throws: `UnknownToken`, which names the first token whose id is not below `vocabularySize`.
  public init(_ rows: [[UInt32]], vocabularySize: Int) throws(UnknownToken) {
    let length = rows.first?.count ?? 0
    for row in rows {
      precondition(row.count == length, "a row of \(row.count) tokens under one of \(length)")
    }
    let tokens = rows.flatMap { $0 }
    try self.init(tokens.span, streams: rows.count, vocabularySize: vocabularySize)
  }

  /// A copy of the tokens of a buffer, [streams][rows of equal length].
  /// - Throws: `UnknownToken`, which names the first token whose id is not below `vocabularySize`.
  public init(
    _ tokens: borrowing Buffer<UInt32>, streams: Int, vocabularySize: Int
  ) throws(UnknownToken) {
    let elements = UnsafeBufferPointer(tokens.elements)
    try self.init(elements.span, streams: streams, vocabularySize: vocabularySize)
  }

  private init(_ block: TokenBlock, _ range: Range<Int>) {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= block.count, "tokens \(range) of \(block.count)")
    pointer = block.pointer + range.lowerBound
    (streams, stride, vocabularySize, owner) = (
      block.streams, block.stride, block.vocabularySize, block.owner
    )
    count = range.count
  }

  /// The inputs of `range` of every stream, and the targets that follow them; nothing is copied.
  public subscript(range: Range<Int>) -> TokenBlock { TokenBlock(self, range) }

  /// A token with its mark: of a stream, at a position from 0 to `count`.
  public subscript(stream: Int, position: Int) -> UInt32 {
    precondition((0..<streams).contains(stream), "stream \(stream) of \(streams)")
    precondition((0...count).contains(position), "token \(position) of \(count + 1)")
    return row(stream)[position]
  }

  /// The tokens of a stream, count + 1 of them.
  package func row(_ stream: Int) -> UnsafePointer<UInt32> { pointer + stream * stride }

  /// How many tokens of a stream are to be predicted: all after its first that have no mark.
  public func targets(ofStream stream: Int) -> Int {
    precondition((0..<streams).contains(stream), "stream \(stream) of \(streams)")
    return TokenMark.targets(row(stream) + 1, count: count)
  }

  /// What a model that reads blocks asks of each one.
  /// - Precondition: the block has `streams` rows, and its ids fit the vocabulary.
  package func require(streams: Int, vocabularySize: Int) {
    precondition(self.streams == streams, "tokens of \(self.streams) streams for \(streams)")
    precondition(
      self.vocabularySize <= vocabularySize,
      "ids below \(self.vocabularySize) for a vocabulary of \(vocabularySize)")
  }
}

/// A token whose id is not in the vocabulary.
public struct UnknownToken: Error, Equatable, Sendable, CustomStringConvertible {
  /// Without its mark.
  public let id: UInt32
  /// The row it is in.
  public let stream: Int
  /// Its place in the row.
  public let position: Int
  /// What the id is not below.
  public let vocabularySize: Int

  /// A sentence that names the token's place and the setting `vocabularySize`.
  public var wording: Wording {
    "token \(id) at position \(position) of stream \(stream) is not below \(.vocabularySize) \(vocabularySize)"
  }

  /// The sentence with the setting under its property's name.
  public var description: String { wording.description }
}
