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
  private let expectTokens: Int?
  /// Tokens of all of the data by what its files say of themselves, if they were counted so.
  private let total: Int?
  private let stop: StopSignal?
  private var region: Region
  private var start: Start?

  private var file = 0
  private var input: InputFile?
  /// The index in the data of the first token of `file`.
  private var fileFirst = 0
  /// Bytes of a token of which the rest has not yet come through the pipe.
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
    layout = TokenLayout(configuration)
    expectTokens = configuration.expectTokens
    partial.reserveCapacity(4)
  }

  private var width: Int { layout.type.width }
  private var index: Int { fileFirst + decoder.byteOffset / width }
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
    let point = place()
    var room = block.count / width * width
    if let end = region.end { room = min(room, (end - point.token) * width) }
    var bytes = partial.count
    for (offset, byte) in partial.enumerated() { block[offset] = byte }
    bytes += try decoder.read(into: UnsafeMutableRawBufferPointer(rebasing: block[bytes..<room]))
    let rest = bytes % width
    partial.removeAll(keepingCapacity: true)
    partial.append(contentsOf: block[(bytes - rest)..<bytes])
    return admit(block, Filled(tokens: bytes / width, point: point), rest: rest)
  }

  /// Cuts what was read off before the first token that must not be there.
  private func admit(_ block: UnsafeMutableRawBufferPointer, _ filled: Filled, rest: Int) -> Filled {
    var result = filled
    let first = filled.point.token
    if let (place, id) = layout.firstOutside(UnsafeRawBufferPointer(block), count: filled.tokens) {
      let back = (filled.tokens - place) * width + rest
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
  private func place() -> RestartPoint {
    let byte = decoder.byteOffset - partial.count
    return RestartPoint(
      file: file, frameOffset: decoder.frame.offset, frameByte: decoder.frame.byte,
      skip: max(0, byte - decoder.frame.byte), token: fileFirst + byte / width)
  }

  // MARK: Moving

  private func begin(using block: UnsafeMutableRawBufferPointer) throws(StreamError) {
    guard let start else { return }
    switch start {
    case .point(let point): try seek(point, using: block)
    case .beginning:
      try open(0)
      try discard(region.start * width, using: block)
      regionPoint = place()
    case .consumed(let pairs, let identity):
      try open(0)
      try discard(region.start * width, using: block)
      consumed = PipeDigest(type: layout.type)
      try discard(pairs * width, using: block)
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

  private func open(_ number: Int, offset: Int = 0, byte: Int = 0) throws(StreamError) {
    partial.removeAll(keepingCapacity: true)
    if let pipe {
      input = pipe
      decoder.attach(pipe, as: nil)
    } else {
      let opened = try opened(number)
      (file, input) = (number, opened)
      decoder.attach(opened, as: files[number].format, offset: offset, byte: byte)
      if case .frames = files[number].format { decoder.verifier = try FrameVerifier(opened, from: offset) }
    }
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
    fileFirst = point.token - (point.frameByte + point.skip) / width
    try discard(point.skip, using: block)
    ended = false
  }

  /// Passes over decoded bytes, over ends of files too. The block is free memory.
  private func discard(_ bytes: Int, using block: UnsafeMutableRawBufferPointer) throws(StreamError) {
    var rest = bytes
    while rest > 0 {
      var count = decoder.jump(rest)
      if count == nil {
        let part = UnsafeMutableRawBufferPointer(rebasing: block[..<min(rest, block.count)])
        let read = try decoder.read(into: part)
        consumed?.add(UnsafeRawBufferPointer(rebasing: part[..<read]))
        count = read
      }
      rest -= count ?? 0
      if stop?.isRaised == true { throw StreamError(.interrupted, "reading was interrupted") }
      if rest > 0, count == 0 {
        try finishFile(wraps: false)
        if ended {
          throw StreamError(
            .badData, "the data has only \(index) tokens, and all of them are passed over",
            advice: "lower \(.skipTokens), or give the data that the position was saved with", file: name)
        }
      }
    }
  }

  /// At the end of a file: checks that it was whole and goes on to the next.
  private func finishFile(wraps: Bool = true) throws(StreamError) {
    let bytes = decoder.byteOffset
    if bytes == 0 { throw layout.empty(name) }
    if bytes % width != 0 {
      throw layout.halfToken(bytes, token: index, file: name, offset: decoder.compressedOffset)
    }
    if file + 1 < files.count {
      let next = index
      try open(file + 1)
      fileFirst = next
      return
    }
    if let total, index != total {
      throw StreamError(
        .badData, "the data has \(index) tokens where \(total) were counted", advice: "make the file anew",
        file: name, tokenIndex: index)
    }
    if let expectTokens, index < expectTokens {
      throw layout.unexpectedEnd(index, expected: expectTokens, file: name)
    }
    // From here on the length is known, and the wrap is made where a known end is.
    if region.wraps && wraps { region.end = index } else { ended = true }
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
      fileFirst = 0
      try open(0)
      try discard(region.start * width, using: block)
      regionPoint = place()
    }
  }
}
