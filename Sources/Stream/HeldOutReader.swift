import Memory

/// The held-out tokens, in order, from the first to the last: the last `holdoutFraction` of the data, or all of it
/// where the configuration has no fraction (held-out data in files of its own).
///
/// Tokens that `skipTokens` leaves out are never among them. It decodes on the caller's thread, with fixed buffers.
/// Of compressed data, what lies before is decoded and passed over.
public final class HeldOutReader {
  /// The number of held-out tokens; nil if the data did not have to be counted.
  public let tokens: Int?

  private static let blockBytes = 64 * 1024

  /// Asked while tokens are read and passed over: true ends that with an error of code `interrupted`.
  public var isInterrupted: (() -> Bool)? {
    get { decoder.isInterrupted }
    set { decoder.isInterrupted = newValue }
  }

  private let source: SequentialTokens
  private let decoder: ByteDecoder
  private let layout: TokenLayout
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
      + DataFile.need(of: files ?? [], windowLogMax: configuration.windowLogMax).byteCount
  }

  /// - Parameters:
  ///   - configuration: `streams` and `chunkTokens` do not matter here.
  ///   - totalTokens: `TokenFeed.totalTokens` of the same data, if known, so that it is not counted again.
  /// - Throws: `StreamError`, as `TokenFeed` does. Held-out data cannot be a pipe.
  public init(
    _ configuration: StreamConfiguration, totalTokens: Int? = nil, ledger: MemoryLedger
  ) throws(StreamError) {
    var configuration = configuration
    configuration.streams = 1
    try configuration.validate()
    guard let files = try DataFile.inspect(configuration) else {
      throw StreamError(
        .usage, "held-out data cannot come from a pipe: it is read more than once",
        advice: "give it as a file", file: configuration.paths[0])
    }
    layout = TokenLayout(configuration)
    block = try .stream(Self.blockBytes, for: "held-out data", ledger: ledger)
    let memory = DecoderMemory(ledger: ledger)
    decoder = try ByteDecoder(configuration, memory: memory, ledger: ledger)
    try memory.grow(to: DataFile.need(of: files, windowLogMax: configuration.windowLogMax))

    var start = configuration.skipTokens
    var total = totalTokens
    let space = UnsafeMutableRawBufferPointer(block.elements)
    if total == nil, configuration.holdoutFraction != nil || files.allSatisfy({ $0.format == .plain }) {
      total = try DataSurvey.countTokens(files, decoder: decoder, layout: layout, space: space)
    }
    if let total {
      if configuration.holdoutFraction == nil { configuration.holdoutFraction = 1 }
      let regions = try DataRegions(configuration, total: total)
      start = regions.heldOut.lowerBound
      tokens = regions.heldOut.count
    } else {
      tokens = nil
    }
    source = SequentialTokens(
      configuration, files: files, pipe: nil, decoder: decoder,
      region: SequentialTokens.Region(start: start, end: nil, wraps: false))
  }

  /// Reads the next tokens: as many as there is room for, and fewer only at the end or before an error, which the
  /// next call throws.
  /// - Returns: the number of tokens; 0 at the end.
  public func next(into tokens: inout MutableSpan<UInt32>) throws(StreamError) -> Int {
    try tokens.withUnsafeMutableBufferPointer { (row) throws(StreamError) -> Int in
      guard let base = row.baseAddress else { return 0 }
      var count = 0
      while count < row.count {
        if first == last {
          if let failure {
            if count > 0 { break }
            throw failure
          }
          let filled = source.fill(stream: 0, into: UnsafeMutableRawBufferPointer(block.elements))
          if filled.isEnd { break }
          failure = filled.failure
          (first, last) = (0, filled.tokens)
          continue
        }
        let part = min(row.count - count, last - first)
        layout.copy(block.pointer + first * layout.type.width, to: base + count, count: part)
        first += part
        count += part
      }
      return count
    }
  }

  /// Goes back to the first held-out token.
  public func rewind() {
    (first, last, failure) = (0, 0, nil)
    source.rewind()
  }
}
