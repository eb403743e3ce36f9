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
  private let payload: PayloadReader
  private let layout: TokenLayout
  private let expectTokens: Int?
  /// Tokens of all of the data by what its files say of themselves, if they were counted so.
  private let total: Int?
  private let stop: StopSignal?
  private var region: Region
  private var start: Start?

  private var file = 0
  private var regionPoint: RestartPoint?
  private var ended = false

  /// - Parameter files: nil with `pipe` set, and the other way round.
  init(
    _ configuration: StreamConfiguration, files: [DataFile]?, pipe: InputFile?, decoder: ByteDecoder,
    region: Region, total: Int?, start: Start = .beginning, stop: StopSignal? = nil
  ) {
    self.files = files ?? []
    self.pipe = pipe
    self.region = region
    self.total = total
    self.start = start
    self.stop = stop
    payload = PayloadReader(configuration, decoder: decoder, stop: stop)
    layout = TokenLayout(configuration)
    expectTokens = configuration.expectTokens
  }

  private var index: Int { payload.index }
  private var name: String { payload.name }

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
        let filled = try readBlock(block)
        if filled.tokens > 0 || filled.failure != nil { return filled }
        if payload.decoder.isAtEnd { try finishFile() }
      }
      return Filled()
    } catch {
      return Filled(failure: error.at(token: index))
    }
  }

  /// The next tokens of the file; none at its end. A block never holds tokens of two files: so its place is one
  /// point.
  private func readBlock(_ block: UnsafeMutableRawBufferPointer) throws(StreamError) -> Filled {
    try payload.enter(using: block)
    let point = payload.point(file: file)
    return admit(block, Filled(tokens: try payload.read(into: block, before: region.end), point: point))
  }

  /// Cuts what was read off before the first token that must not be there.
  private func admit(_ block: UnsafeMutableRawBufferPointer, _ filled: Filled) -> Filled {
    var result = filled
    let first = filled.point.token
    if let (place, id) = layout.firstOutside(UnsafeRawBufferPointer(block), count: filled.tokens) {
      result.tokens = place
      result.failure = layout.outside(
        id, token: first + place, file: name, offset: payload.storedOffset(back: filled.tokens - place))
    }
    if let expectTokens, first + result.tokens > expectTokens {
      result.tokens = max(0, expectTokens - first)
      result.failure = layout.unexpectedMore(expected: expectTokens, file: name)
    }
    return result
  }

  // MARK: Moving

  private func begin(using block: UnsafeMutableRawBufferPointer) throws(StreamError) {
    guard let start else { return }
    switch start {
    case .point(let point): try seek(point, using: block)
    case .beginning:
      try open(0)
      try discard(region.start, using: block)
      regionPoint = payload.point(file: file)
    case .consumed(let pairs, let identity):
      try open(0)
      try payload.enter(using: block)
      try discard(region.start, using: block)
      payload.digest = PipeDigest(type: layout.type)
      try discard(pairs, using: block)
      let found = payload.digest?.identity
      payload.digest = nil
      if found != identity {
        throw StreamError(
          .badData, "this is other data than the saved position belongs to",
          advice: "give the same stream again from its start", file: name)
      }
    }
    self.start = nil
  }

  private func open(_ number: Int, first: Int = 0, offset: Int = 0, byte: Int = 0) throws(StreamError) {
    if let pipe { return payload.attach(pipe: pipe) }
    let opened = try opened(number)
    file = number
    try payload.attach(opened, files[number], first: first, offset: offset, byte: byte)
  }

  /// The file that is open already is kept: so another one under its name changes nothing.
  private func opened(_ number: Int) throws(StreamError) -> InputFile {
    guard let input = payload.input, number == file else { return try InputFile(files[number], stop: stop) }
    try input.requireUnchanged(since: files[number].stamp)
    return input
  }

  private func seek(_ point: RestartPoint, using block: UnsafeMutableRawBufferPointer) throws(StreamError) {
    // A plain file has no frames: it is opened at its start, and the way to the token is a jump.
    try open(point.file, offset: point.frameOffset, byte: point.frameByte)
    guard try payload.seek(point, using: block) else { throw passedAll }
    ended = false
  }

  /// Passes over tokens, over ends of files too. The block is free memory.
  private func discard(_ tokens: Int, using block: UnsafeMutableRawBufferPointer) throws(StreamError) {
    var rest = layout.type.bytes(of: tokens)
    while rest > 0 {
      let count = try payload.pass(rest, using: block)
      rest -= count
      if stop?.isRaised == true { throw StreamError(.interrupted, "reading was interrupted") }
      if rest > 0, count == 0 {
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
    let end = try payload.end()
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
      regionPoint = payload.point(file: file)
    }
  }
}
