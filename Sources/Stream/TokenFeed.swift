import LongzooMemory

/// The tokens that training reads: one or more streams over the same data, decoded ahead by a thread of its own.
///
/// Memory does not depend on the length of the data. Files wrap around for ever, a pipe ends. A feed is used from one
/// thread at a time. For data that is read once from its first to its last token, as in an evaluation, take a
/// `HeldOutReader`: it needs no thread and no ring.
public final class TokenFeed {
  /// Positions of the data that are read in parallel.
  public let streams: Int
  /// Tokens of the training region; nil for a pipe, and for compressed data that did not have
  /// to be counted.
  public let trainingTokens: Int?
  /// Tokens of all of the data, with those held out and left out; nil if not known.
  public let totalTokens: Int?

  private let chunkTokens: Int
  private let cut: DataCut
  private let ring: TokenRing
  private let decoder: ByteDecoder
  private let reader: ReaderThread
  private let carries: Buffer<UInt32>

  private var pairs: Int
  private var hasCarry = false
  /// The place of the carried token: where a resume begins to read.
  private var place: RestartPoint?
  private let filesIdentity: DataIdentity?
  private var pipeDigest: PipeDigest

  /// The bytes that a feed reserves as `.stream`, whatever the length of the data.
  ///
  /// For files this looks at the first frame of each, because its window has to be held. What a pipe holds is not
  /// known before it is read: the memory for its decompressor is reserved when its first frame comes.
  /// - Throws: what opening the files throws.
  public static func byteCount(for configuration: StreamConfiguration) throws(StreamError) -> Int {
    try configuration.validate()
    let files = try DataFile.inspect(configuration)
    return fixedByteCount(configuration)
      + DataFile.need(of: files ?? [], DecoderLimits(configuration)).byteCount
  }

  static func fixedByteCount(_ configuration: StreamConfiguration) -> Int {
    let streams = configuration.streams
    return ByteDecoder.bufferByteCount + TokenRing.byteCount(streams: streams)
      + Buffer<UInt32>.byteCount(for: streams)
      + (streams > 1 ? IndexedTokens.byteCount(streams: streams) : 0)
  }

  /// Opens the data and starts to read ahead.
  ///
  /// - Parameter resume: where to go on; nil: at the start of the training region.
  /// - Throws: `StreamError`: what is wrong with the options or the files, as far as it can be found without
  ///   decoding; with more than one stream, compressed data that has to be unpacked is checked here to its end. A
  ///   `resume` onto other data is refused here, or for a pipe by the first `next`.
  public init(
    _ configuration: StreamConfiguration, resume: StreamPosition? = nil, ledger: MemoryLedger
  ) throws(StreamError) {
    try configuration.validate()
    let inspected = try DataFile.inspect(configuration)
    streams = configuration.streams
    chunkTokens = configuration.chunkTokens
    cut = DataCut(configuration)
    ring = try TokenRing(configuration, ledger: ledger)
    carries = try .stream(streams, for: "carried tokens", ledger: ledger)
    let memory = DecoderMemory(ledger: ledger)
    decoder = try ByteDecoder(configuration, memory: memory, ledger: ledger)
    try memory.grow(to: DataFile.need(of: inspected ?? [], DecoderLimits(configuration)))
    let files = try DataFile.withPayloads(inspected, configuration, decoder: decoder, space: ring.space)
    try HeadCheck.run(files ?? [], configuration, decoder: decoder, space: ring.space)

    var identity: DataIdentity?
    if let files { identity = try DataFile.identity(of: files, buffer: decoder.spareBuffer) }
    filesIdentity = identity
    try resume?.check(cut: cut, files: files, identity: identity)
    pairs = resume?.pairs ?? 0
    place = resume?.restart
    pipeDigest = PipeDigest(
      type: configuration.tokenType, identity: files == nil ? resume?.identity : nil)

    let stop = StopSignal()
    let source: any TokenSource
    if streams > 1, let files {
      let indexed = try IndexedTokens(
        configuration, files: files, decoder: decoder, stop: stop, space: ring.space, ledger: ledger)
      let regions = try DataRegions(configuration, total: indexed.totalTokens)
      try regions.requireTraining()
      indexed.begin(region: regions.training, pairs: pairs)
      (totalTokens, trainingTokens) = (indexed.totalTokens, regions.training.count)
      source = indexed
    } else {
      let total = try Self.count(configuration, files, decoder, ring.space)
      let regions = try total.map { (total) throws(StreamError) in
        try DataRegions(configuration, total: total)
      }
      try regions?.requireTraining()
      (totalTokens, trainingTokens) = (total, regions?.training.count)
      source = try Self.sequence(
        configuration, files, decoder, stop, total: total,
        end: configuration.data.holdsOut ? regions?.training.upperBound : nil,
        resume: resume)
    }
    // What is read from here on is training's, which has its own way to end.
    decoder.isInterrupted = nil
    reader = try ReaderThread(source: source, ring: ring, stop: stop)
  }

  /// Tokens of all files, where that is needed or costs nothing.
  private static func count(
    _ configuration: StreamConfiguration, _ files: [DataFile]?, _ decoder: ByteDecoder,
    _ space: UnsafeMutableRawBufferPointer
  ) throws(StreamError) -> Int? {
    guard let files else { return nil }
    let plain = files.allSatisfy { $0.format == .plain }
    guard plain || configuration.data.holdsOut || configuration.countsTokens else { return nil }
    return try DataSurvey.countTokens(
      files, decoder: decoder, type: configuration.tokenType, space: space)
  }

  private static func sequence(
    _ configuration: StreamConfiguration, _ files: [DataFile]?, _ decoder: ByteDecoder, _ stop: StopSignal,
    total: Int?, end: Int?, resume: StreamPosition?
  ) throws(StreamError) -> SequentialTokens {
    let region = SequentialTokens.Region(start: configuration.skipTokens, end: end, wraps: files != nil)
    var start = SequentialTokens.Start.beginning
    if let resume {
      if files == nil {
        start = .consumed(pairs: resume.pairs, identity: resume.identity)
      } else if let restart = resume.restart {
        start = .point(restart)
      }
    }
    return SequentialTokens(
      configuration, files: files,
      pipe: try files == nil ? InputFile.pipe(configuration, stop: stop) : nil, decoder: decoder,
      region: region, total: total, start: start, stop: stop)
  }

  /// Reads the next tokens of every stream.
  ///
  /// - Parameters:
  ///   - count: (input, target) pairs wanted, at most `chunkTokens`.
  ///   - tokens: `[streams × (chunkTokens + 1)]`, row-major. Row s gets count + 1 tokens of stream s: first the
  ///     last token of the call before (at the start the first of the stream), then `count` new ones.
  /// - Returns: the pairs that are there: `count`, and fewer only at the end of a pipe (a last short one, then 0) or
  ///   before an error in a single stream, which the next call throws.
  /// - Throws: what reading ahead has found at the first token that is not there, with its index.
  public func next(_ count: Int, into tokens: inout MutableSpan<UInt32>) throws(StreamError) -> Int {
    precondition(count > 0 && count <= chunkTokens, "\(count) tokens of a feed made for 1 to \(chunkTokens)")
    precondition(
      tokens.count >= streams * (chunkTokens + 1),
      "room for \(tokens.count) tokens, where \(streams) rows of \(chunkTokens + 1) are needed")
    let available = try tokens.withUnsafeMutableBufferPointer { (all) throws(StreamError) -> Int in
      guard let base = all.baseAddress else { return 0 }
      var available = count
      for stream in 0..<streams {
        let got = try fillRow(stream, base + stream * (chunkTokens + 1), count: count)
        available = min(available, got)
      }
      hasCarry = true
      if filesIdentity == nil { pipeDigest.add(base, count: available) }
      return available
    }
    pairs += available
    return available
  }

  private func fillRow(
    _ stream: Int, _ row: UnsafeMutablePointer<UInt32>, count: Int
  ) throws(StreamError) -> Int {
    var have = 0
    if hasCarry {
      row[0] = carries[stream]
      have = 1
    }
    let before = have
    do throws(StreamError) {
      while have <= count {
        let taken = try ring.take(stream: stream, into: row + have, count: count + 1 - have, place: &place)
        if taken == 0 { break }
        have += taken
      }
    } catch {
      // In a single stream what came before the error is handed out first.
      if streams > 1 || have < 2 || error.kind == .interrupted { throw error }
    }
    if have > before { carries[stream] = row[have - 1] }
    return max(0, have - 1)
  }

  /// Lets `next` give up waiting once `isInterrupted` says so, on a quiet pipe, and on files that are passed over up to the first token: it then
  /// throws an error of kind `interrupted`, and `position` is still that of before the call. Nothing can be read afterwards.
  /// - Parameter isInterrupted: asked ten times a second, with the seconds that the wait has lasted.
  public func onWaiting(_ isInterrupted: @escaping (Double) -> Bool) {
    let isPipe = filesIdentity == nil
    // Later on files never make anybody wait long, and a window can be brought to its end.
    ring.isInterrupted = { [unowned self] seconds in (isPipe || !hasCarry) && isInterrupted(seconds) }
  }

  /// The place after the pairs that `next` has returned so far, not after what was read ahead.
  public var position: StreamPosition {
    StreamPosition(
      pairs: pairs, cut: cut, identity: filesIdentity ?? pipeDigest.identity,
      restart: streams == 1 && filesIdentity != nil ? place : nil)
  }

  /// Seconds that `next` has spent waiting for the reader.
  public var waitSeconds: Double { Double(ring.waited) / 1e9 }
}
