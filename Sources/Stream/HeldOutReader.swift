import LongzooMemory

/// The held-out tokens, in order, from the first to the last: the last `holdoutFraction` of the data, or all of it
/// where the configuration has no fraction (held-out data in files of its own).
///
/// Tokens that `skipTokens` leaves out are never among them. It decodes on the caller's thread, with fixed buffers.
/// Of compressed data, what lies before is decoded and passed over.
///
/// The files that it opened are those that it reads; a change of them is an error. Nothing is read ahead: for training,
/// which should not wait for decompression, there is `TokenFeed`.
public final class HeldOutReader {
  /// The number of held-out tokens; nil if the data did not have to be counted.
  public let tokens: Int?
  /// Whether nothing has to be decoded before the first of them.
  public let beginsAtOnce: Bool

  private static let blockBytes = 64 * 1024

  /// Asked while tokens are read and passed over: true ends that with an error of kind `interrupted`.
  public var isInterrupted: (() -> Bool)? {
    get { decoder.isInterrupted }
    set { decoder.isInterrupted = newValue }
  }

  private let files: [DataFile]
  private let skipped: Int
  private let source: SequentialTokens
  private let decoder: ByteDecoder
  private let layout: TokenLayout
  private let name: String
  private let isPipe: Bool
  private var hasBegun = false
  private let block: Buffer<UInt8>
  /// Tokens of the block that are not yet handed out.
  private var first = 0
  private var last = 0
  private var failure: StreamError?

  /// The bytes that a reader reserves as `.stream`, whatever the length of the data.
  /// - Throws: what opening the files throws.
  public static func byteCount(for configuration: StreamConfiguration) throws(StreamError) -> Int {
    try configuration.validate()
    let files = try DataFile.inspect(configuration)
    return ByteDecoder.bufferByteCount + Buffer<UInt8>.byteCount(for: blockBytes)
      + DataFile.need(of: files ?? [], DecoderLimits(configuration)).byteCount
  }

  /// - Parameters:
  ///   - configuration: `streams` and `chunkTokens` do not matter here.
  ///   - totalTokens: `TokenFeed.totalTokens` of the same data, if known, so that it is not counted again.
  ///   - isReadOnce: whether it may be a pipe, which is read to its end once and never again.
  /// - Throws: `StreamError`, as `TokenFeed` does. A pipe is refused where it would be read again.
  public init(
    _ configuration: StreamConfiguration, totalTokens: Int? = nil, isReadOnce: Bool = false,
    ledger: MemoryLedger
  ) throws(StreamError) {
    var configuration = configuration
    configuration.streams = 1
    try configuration.validate()
    name = configuration.paths[0]
    let inspected = try DataFile.inspect(configuration)
    guard inspected != nil || isReadOnce else {
      throw StreamError(
        .invalidConfiguration, "held-out data cannot come from a pipe: it is read more than once",
        advice: "give it as a file", file: configuration.paths[0])
    }
    isPipe = inspected == nil
    layout = TokenLayout(configuration)
    block = try .stream(Self.blockBytes, for: "held-out data", ledger: ledger)
    let memory = DecoderMemory(ledger: ledger)
    decoder = try ByteDecoder(configuration, memory: memory, ledger: ledger)
    try memory.grow(to: DataFile.need(of: inspected ?? [], DecoderLimits(configuration)))
    let pipe = try isPipe ? InputFile.pipe(configuration) : nil
    pipe?.isInterrupted = configuration.isInterrupted

    skipped = configuration.skipTokens
    var start = skipped
    var total = totalTokens
    let space = UnsafeMutableRawBufferPointer(block.elements)
    let files = try DataFile.withPayloads(inspected, configuration, decoder: decoder, space: space)
    self.files = files ?? []
    let isPlain = files?.allSatisfy { $0.format == .plain } ?? false
    if let files, !configuration.data.holdsOut {
      try HeadCheck.run(files, configuration, decoder: decoder, space: space)
    }
    if let files, total == nil, configuration.data.holdsOut || isPlain {
      total = try DataSurvey.countTokens(files, decoder: decoder, type: layout.type, space: space)
    }
    if let total {
      if !configuration.data.holdsOut {
        try Self.requirePair(total - configuration.skipTokens, name: name)
        configuration.holdoutFraction = 1
      }
      let regions = try DataRegions(configuration, total: total)
      start = regions.heldOut.lowerBound
      tokens = regions.heldOut.count
    } else {
      tokens = nil
    }
    beginsAtOnce = start == 0 || isPlain
    source = SequentialTokens(
      configuration, files: files, pipe: pipe, decoder: decoder,
      region: SequentialTokens.Region(start: start, end: nil, wraps: false), total: total)
  }

  private static func requirePair(_ tokens: Int, name: String) throws(StreamError) {
    guard tokens < 2 else { return }
    throw StreamError(
      .badData,
      "has \(max(0, tokens)) of the at least 2 tokens that an evaluation needs",
      advice: "give more data, or lower \(.skipTokens)", file: name == "-" ? "standard input" : name)
  }

  /// Reads the first tokens for what an evaluation would fail on, and goes back.
  /// - Parameter limit: tokens to read at most; 0: all. No more than 64 MiB are read.
  /// - Throws: `.badData` for damage, ids outside of the vocabulary, too few tokens, or none that is a target.
  public func check(limit: Int) throws(StreamError) {
    let most = layout.type.tokens(in: 64 << 20)
    let wanted = limit > 0 ? min(limit, most) : most
    var (read, hasTarget) = (0, layout.targets == .all)
    rewind()
    while read < wanted {
      let filled = source.fill(stream: 0, into: UnsafeMutableRawBufferPointer(block.elements))
      if let failure = filled.failure, read + filled.tokens < wanted {
        throw FirstOutside.error(failure, in: files, layout, after: skipped)
      }
      if filled.isEnd {
        try Self.requirePair(read, name: name)
        if !hasTarget {
          throw StreamError(
            .badData, "every token is marked, and none is left to predict",
            advice: "give data with targets, or check \(.targets) and \(.tokenType)", file: name)
        }
        break
      }
      // The first token of all is never predicted.
      if !hasTarget {
        hasTarget = layout.hasTarget(block.pointer, from: read == 0 ? 1 : 0, count: filled.tokens)
      }
      read += filled.tokens
    }
    rewind()
  }

  /// Reads the next tokens: as many as there is room for, and fewer only at the end or before an error, which the
  /// next call throws.
  /// - Returns: the number of tokens; 0 at the end.
  public func next(into tokens: inout MutableSpan<UInt32>) throws(StreamError) -> Int {
    hasBegun = true
    return try tokens.withUnsafeMutableBufferPointer { (row) throws(StreamError) -> Int in
      guard let base = row.baseAddress else { return 0 }
      var count = 0
      while count < row.count {
        if first == last {
          if let failure {
            if count > 0 { break }
            throw FirstOutside.error(failure, in: files, layout, after: skipped)
          }
          let filled = source.fill(stream: 0, into: UnsafeMutableRawBufferPointer(block.elements))
          if filled.isEnd { break }
          failure = filled.failure
          (first, last) = (0, filled.tokens)
          continue
        }
        let part = min(row.count - count, last - first)
        layout.copy(block.pointer + layout.type.bytes(of: first), to: base + count, count: part)
        first += part
        count += part
      }
      return count
    }
  }

  /// Goes back to the first held-out token; for a pipe only before anything was read.
  public func rewind() {
    precondition(!(isPipe && hasBegun), "a pipe cannot be read again")
    (first, last, failure) = (0, 0, nil)
    source.rewind()
  }
}
