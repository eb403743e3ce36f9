import LongzooMemory

/// A place in the data, exact to the token: what a checkpoint keeps of a `TokenFeed`.
///
/// It is small whatever the data is, and holds the identity of the data, so that a resume onto other data is refused.
public struct StreamPosition: Codable, Equatable, Sendable {
  /// (input, target) pairs that each stream has handed out.
  public let pairs: Int
  let cut: DataCut
  let identity: DataIdentity
  /// Only a shortcut to the place, and so not part of equality; nil: count from the start.
  let restart: RestartPoint?

  /// Whether both are the same place of the same data, cut alike.
  public static func == (left: StreamPosition, right: StreamPosition) -> Bool {
    left.pairs == right.pairs && left.cut == right.cut && left.identity == right.identity
  }
}

extension StreamPosition {
  /// Refuses a resume that could not go on exactly where the position was taken.
  func check(cut now: DataCut, files: [DataFile]?, identity found: DataIdentity?) throws(StreamError) {
    if let difference = now.difference(from: cut) {
      throw StreamError(
        .invalidConfiguration, "the saved position is one with \(difference), and means nothing otherwise",
        advice: "give the same again, or start anew")
    }
    if let found, found != identity {
      throw StreamError(
        .badData,
        "this is other data than the saved position belongs to: the number, sizes or contents of files differ",
        advice: "give the same files in the same order, or start anew", file: files?.first?.path)
    }
    let known = files.map { files in
      cut.streams > 1 || (restart.map { $0.isPlausible(files: files) } ?? (pairs == 0))
    }
    let isPipe = found == nil
    if !(0...(1 << 56)).contains(pairs) || known == false || isPipe != (identity.files == 0)
      || (isPipe && !(0...PipeDigest.limit).contains(identity.bytes))
    {
      throw StreamError(.badData, "the saved position does not fit this data", advice: "start anew")
    }
  }
}

/// How the data was cut into streams. A position means nothing under another cut.
struct DataCut: Codable, Equatable, Sendable {
  var tokenType: TokenType
  var streams: Int
  var skipTokens: Int
  var holdoutFraction: Double?

  init(_ configuration: StreamConfiguration) {
    tokenType = configuration.tokenType
    streams = configuration.streams
    skipTokens = configuration.skipTokens
    holdoutFraction = configuration.data.holdsOut ? configuration.holdoutFraction : nil
  }

  /// The setting whose value differs, for an error message.
  func difference(from other: DataCut) -> Wording? {
    if tokenType != other.tokenType { return "\(.tokenType) \(other.tokenType.rawValue)" }
    if streams != other.streams { return "\(.streams) \(other.streams)" }
    if skipTokens != other.skipTokens { return "\(.skipTokens) \(other.skipTokens)" }
    if holdoutFraction != other.holdoutFraction {
      return other.holdoutFraction.map { "\(.holdoutFraction) \($0)" } ?? "no \(.holdoutFraction)"
    }
    return nil
  }
}

/// What tells one set of data from another: the sizes and ends of files, or the first tokens of a pipe.
struct DataIdentity: Codable, Equatable, Sendable {
  /// Stored bytes of all files; token bytes in the digest of a pipe.
  var bytes: Int
  /// The number of files; 0 for a pipe.
  var files: Int
  var digest: UInt64
}

/// Where decoding can start, and how far it is from there to a token.
struct RestartPoint: Codable, Equatable, Sendable, BitwiseCopyable {
  var file = 0
  /// Stored bytes before the frame; 0 in a plain file.
  var frameOffset = 0
  /// Decoded bytes of the file before the frame.
  var frameByte = 0
  /// Decoded bytes from the start of the frame to the token.
  var skip = 0
  /// The index of the token in the data.
  var token = 0

  func advanced(by tokens: Int, of type: TokenType) -> RestartPoint {
    var point = self
    point.skip += type.bytes(of: tokens)
    point.token += tokens
    return point
  }

  /// Whether a point that was read from somewhere can be used without overflow or a missing file.
  func isPlausible(files: [DataFile]) -> Bool {
    let limit = 0...(1 << 56)
    return files.indices.contains(file) && limit.contains(frameOffset) && frameOffset <= files[file].size
      && limit.contains(frameByte) && limit.contains(skip) && limit.contains(token)
  }
}
