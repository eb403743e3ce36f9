import LongzooMemory

/// The data from one position on, decoded in order: for a single stream, and for held-out data.
final class SequentialTokens: TokenSource {
  /// The part of the data that is read, in tokens.
  struct Region {
    var start: Int
    /// nil: to the end of the data, wherever that is.
    var end: Int?
    var wraps: Bool
  }

  /// Where the first read begins.
  enum Start {
    case beginning
    case point(RestartPoint)
    /// Passes over tokens that were consumed before; their digest must be the same again.
    case consumed(pairs: Int, identity: DataIdentity)
  }

  private let files: [DataFile]
  private let pipe: InputFile?
  private let decoder: ByteDecoder
  private let layout: TokenLayout
  private let configuration: StreamConfiguration
  /// Tokens of all of the data by what its files say of themselves, if they were counted so.
  private let total: Int?
  private let stop: StopSignal?
  private var region: Region
  private var start: Start?

  private var file = 0
  private var input: InputFile?
  /// Where the tokens of `file` lie.
  private var place: TokenPlace
  /// Whether its payload is known: of a pipe only after its first bytes.
  private var isPlaceKnown = false
  /// Bytes that were decoded and are not yet passed on: of a token of which the rest has not yet come through the
  /// pipe, or those after what told the container of a pipe.
  private var partial: [UInt8] = []
  private var regionPoint: RestartPoint?
  private var ended = false
  /// Set while tokens that were consumed before are passed over.
  private var consumed: PipeDigest?

  /// - Parameter files: nil with `pipe` set, and the other way round.
  init(
    _ configuration: StreamConfiguration, files: [DataFile]?, pipe: InputFile?, decoder: ByteDecoder,
    region: Region, total: Int?, start: Start = .beginning, stop: StopSignal? = nil
  ) {
    self.files = files ?? []
    self.pipe = pipe
    self.decoder = decoder
    self.region = region
    self.total = total
    self.start = start
    self.stop = stop
    self.configuration = configuration
    layout = TokenLayout(configuration)
    place = TokenPlace(type: configuration.tokenType)
    partial.reserveCapacity(4)
  }

  private var type: TokenType { layout.type }
  private var expectTokens: Int? { configuration.expectTokens }
  /// Decoded bytes of the file before those that are not yet passed on.
  private var byte: Int { decoder.byteOffset - partial.count }
  /// The index in the data of the next token.
  private var index: Int { place.token(at: byte) }
  private var name: String { input?.name ?? "the data" }

  /// Goes back to the start of the region.
  func rewind() {
    start = regionPoint.map { .point($0) } ?? .beginning
    ended = false
  }

  func fill(stream: Int, into block: UnsafeMutableRawBufferPointer) -> Filled {
    do throws(StreamError) {
      try begin(using: block)
      while !ended {
        if let end = region.end, index >= end {
          try wrap(using: block)
          continue
        }
        try enterPayload(using: block)
        let filled = try readBlock(block)
        if filled.tokens > 0 || filled.failure != nil { return filled }
        if decoder.isAtEnd { try finishFile() }
      }
      return Filled()
    } catch {
      return Filled(failure: error.at(token: index))
    }
  }

  /// The next tokens of the file; none at its end. A block never holds tokens of two files: so its place is one
  /// point.
  private func readBlock(_ block: UnsafeMutableRawBufferPointer) throws(StreamError) -> Filled {
    let point = point()
    var limit = type.bytes(of: type.tokens(in: block.count))
    if let end = region.end { limit = min(limit, type.bytes(of: end - point.token)) }
    let (bytes, isTokens) = place.piece(from: byte, limit: limit)
    guard isTokens else {
      // What follows the payload is decoded for its checksums.
      partial.removeAll(keepingCapacity: true)
      while try decoder.read(into: block) > 0 {}
      return Filled()
    }
    var count = min(partial.count, bytes)
    for offset in 0..<count { block[offset] = partial[offset] }
    partial.removeFirst(count)
    if partial.isEmpty {
      count += try decoder.read(into: UnsafeMutableRawBufferPointer(rebasing: block[count..<bytes]))
    }
    partial.insert(contentsOf: block[(count - type.bytesLeft(of: count))..<count], at: 0)
    return admit(block, Filled(tokens: type.tokens(in: count), point: point))
  }

  /// Cuts what was read off before the first token that must not be there.
  private func admit(_ block: UnsafeMutableRawBufferPointer, _ filled: Filled) -> Filled {
    var result = filled
    let first = filled.point.token
    if let (place, id) = layout.firstOutside(UnsafeRawBufferPointer(block), count: filled.tokens) {
      let back = type.bytes(of: filled.tokens - place) + partial.count
      result.tokens = place
      result.failure = layout.outside(
        id, token: first + place, file: name,
        offset: decoder.isPlain ? decoder.byteOffset - back : decoder.compressedOffset)
    }
    if let expectTokens, first + result.tokens > expectTokens {
      result.tokens = max(0, expectTokens - first)
      result.failure = layout.unexpectedMore(expected: expectTokens, file: name)
    }
    return result
  }

  /// The place of the next token.
  private func point() -> RestartPoint {
    RestartPoint(
      file: file, frameOffset: decoder.frame.offset, frameByte: decoder.frame.byte,
      skip: max(0, byte - decoder.frame.byte), token: index)
  }

  // MARK: Moving

  private func begin(using block: UnsafeMutableRawBufferPointer) throws(StreamError) {
    guard let start else { return }
    switch start {
    case .point(let point): try seek(point, using: block)
    case .beginning:
      try open(0)
      try discard(region.start, using: block)
      regionPoint = point()
    case .consumed(let pairs, let identity):
      try open(0)
      try enterPayload(using: block)
      try discard(region.start, using: block)
      consumed = PipeDigest(type: layout.type)
      try discard(pairs, using: block)
      let found = consumed?.identity
      consumed = nil
      if found != identity {
        throw StreamError(
          .badData, "this is other data than the saved position belongs to",
          advice: "give the same stream again from its start", file: name)
      }
    }
    self.start = nil
  }

  private func open(_ number: Int, first: Int = 0, offset: Int = 0, byte: Int = 0) throws(StreamError) {
    if let pipe {
      input = pipe
      (place, isPlaceKnown) = (TokenPlace(type: type, first: first), false)
      decoder.attach(pipe, as: nil)
    } else {
      let opened = try opened(number)
      (file, input) = (number, opened)
      (place, isPlaceKnown) = (TokenPlace(type: type, first: first, payload: files[number].payload), true)
      decoder.attach(opened, as: files[number].format, offset: offset, byte: byte)
      if case .frames = files[number].format { decoder.verifier = try FrameVerifier(opened, from: offset) }
    }
    partial.removeAll(keepingCapacity: true)
  }

  /// The file that is open already is kept: so another one under its name changes nothing.
  private func opened(_ number: Int) throws(StreamError) -> InputFile {
    guard let input, number == file else { return try InputFile(files[number], stop: stop) }
    try input.requireUnchanged(since: files[number].stamp)
    return input
  }

  private func seek(_ point: RestartPoint, using block: UnsafeMutableRawBufferPointer) throws(StreamError) {
    // A plain file has no frames: it is opened at its start, and the way to the token is a jump.
    try open(point.file, offset: point.frameOffset, byte: point.frameByte)
    let end = point.frameByte + point.skip
    place.first = point.token - place.token(at: end)
    try pass(to: end, using: block)
    if byte < end { throw passedAll }
    ended = false
  }

  /// Goes to the first token, if the file begins with something else.
  private func enterPayload(using block: UnsafeMutableRawBufferPointer) throws(StreamError) {
    if !isPlaceKnown { try learnPayload(using: block) }
    try pass(to: place.payload.start, using: block)
  }

  /// Reads as much of a pipe as tells what it is, and keeps what is tokens of that.
  private func learnPayload(using block: UnsafeMutableRawBufferPointer) throws(StreamError) {
    var count = 0
    while count < configuration.containerHeadBytes, !decoder.isAtEnd {
      count += try decoder.read(
        into: UnsafeMutableRawBufferPointer(rebasing: block[count..<configuration.containerHeadBytes]))
    }
    let head = UnsafeRawBufferPointer(rebasing: block[..<count])
    place.payload = try configuration.payload(head, file: name)
    isPlaceKnown = true
    partial.append(contentsOf: head.dropFirst(place.payload.start))
  }

  /// Passes over decoded bytes of the file, up to one of them or to the file's end.
  private func pass(to end: Int, using block: UnsafeMutableRawBufferPointer) throws(StreamError) {
    while byte < end, try passOver(end - byte, using: block) > 0 {
      if stop?.isRaised == true { throw StreamError(.interrupted, "reading was interrupted") }
    }
  }

  /// Passes over at most `bytes` decoded bytes, which are those that the digest of a pipe is of; the number passed over.
  private func passOver(_ bytes: Int, using block: UnsafeMutableRawBufferPointer) throws(StreamError) -> Int {
    if !partial.isEmpty {
      let count = min(bytes, partial.count)
      partial.withUnsafeBytes { consumed?.add(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
      partial.removeFirst(count)
      return count
    }
    if let count = decoder.jump(bytes) { return count }
    let part = UnsafeMutableRawBufferPointer(rebasing: block[..<min(bytes, block.count)])
    let count = try decoder.read(into: part)
    consumed?.add(UnsafeRawBufferPointer(rebasing: part[..<count]))
    return count
  }

  /// Passes over tokens, over ends of files too. The block is free memory.
  private func discard(_ tokens: Int, using block: UnsafeMutableRawBufferPointer) throws(StreamError) {
    var rest = type.bytes(of: tokens)
    while rest > 0 {
      try enterPayload(using: block)
      let (bytes, isTokens) = place.piece(from: byte, limit: rest)
      let count = try isTokens ? passOver(bytes, using: block) : 0
      rest -= count
      if stop?.isRaised == true { throw StreamError(.interrupted, "reading was interrupted") }
      if rest > 0, count == 0 {
        while !isTokens, try decoder.read(into: block) > 0 {}
        try finishFile(wraps: false)
        if ended { throw passedAll }
      }
    }
  }

  private var passedAll: StreamError {
    StreamError(
      .badData, "the data has only \(index) tokens, and all of them are passed over",
      advice: "lower \(.skipTokens), or give the data that the position was saved with", file: name)
  }

  /// At the end of a file: checks that it was whole and goes on to the next.
  private func finishFile(wraps: Bool = true) throws(StreamError) {
    let end = try place.end(size: decoder.byteOffset, file: name, offset: decoder.compressedOffset)
    if file + 1 < files.count { return try open(file + 1, first: end) }
    if let total, end != total {
      throw StreamError(
        .badData, "the data has \(end) tokens where \(total) were counted", advice: "make the file anew",
        file: name, tokenIndex: end)
    }
    if let expectTokens, end < expectTokens {
      throw layout.unexpectedEnd(end, expected: expectTokens, file: name)
    }
    // From here on the length is known, and the wrap is made where a known end is.
    if region.wraps && wraps { region.end = end } else { ended = true }
  }

  private func wrap(using block: UnsafeMutableRawBufferPointer) throws(StreamError) {
    guard region.wraps, let end = region.end else {
      ended = true
      return
    }
    if end - region.start < 2 {
      throw StreamError(
        .badData,
        "\(max(0, end - region.start)) tokens are left to read, too few for one (input, target) pair",
        advice: "give more data, or lower \(.skipTokens)", file: name)
    }
    if let regionPoint {
      try seek(regionPoint, using: block)
    } else {
      try open(0)
      try discard(region.start, using: block)
      regionPoint = point()
    }
  }
}
