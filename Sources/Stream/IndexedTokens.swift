import LongzooMemory

/// Tokens at any place of the data, for many streams at once.
///
/// One decoder per stream would need one window per stream: 8 MiB each at level 19, 128 MiB with --long. So there
/// is one decoder for all. It is used on files of small frames that can be found without decoding; any other
/// compressed file is unpacked once, in order, to a scratch file, and read from there like a plain one.
final class IndexedTokens: TokenSource {
  /// The largest frame, in decoded bytes, that is decoded again for each refill.
  static let largestFrame = 4 << 20

  private enum Place {
    case plain
    case frames
    /// Decoded bytes before the file in the scratch file.
    case scratch(base: Int)
  }

  private let files: [DataFile]
  private let layout: TokenLayout
  private let streams: Int
  private let decoder: ByteDecoder
  private let frames: FrameIndex
  private let open: OpenFiles
  private var places: [Place] = []
  /// The first token of each file, and the number of all tokens at the end.
  private var firsts = [0]
  private var scratch: ScratchFile?
  private var decodedFile = -1

  /// The part of the data that is read, in tokens; it is set once the number of all is known.
  private var region = 0..<0
  /// The tokens that each stream has read since it began at its own start.
  private let progress: Buffer<Int>
  /// The frame that each stream read last.
  private let cursors: Buffer<FrameReference>

  static func byteCount(streams: Int) -> Int {
    Buffer<Int>.byteCount(for: streams) + Buffer<FrameReference>.byteCount(for: streams)
      + FrameIndex.byteCount
  }

  /// Learns the size of every file; unpacks what has to be unpacked.
  init(
    _ configuration: StreamConfiguration, files: [DataFile], decoder: ByteDecoder, stop: StopSignal,
    space: UnsafeMutableRawBufferPointer, ledger: MemoryLedger
  ) throws(StreamError) {
    self.files = files
    self.decoder = decoder
    open = OpenFiles(stop: stop)
    layout = TokenLayout(configuration)
    streams = configuration.streams
    frames = try FrameIndex(ledger: ledger)
    progress = try .stream(streams, for: "positions of streams", ledger: ledger)
    cursors = try .stream(streams, for: "frames of streams", ledger: ledger)
    for stream in 0..<streams { cursors[stream] = FrameReference() }
    for number in files.indices {
      let bytes = try place(number, folder: configuration.scratchFolder, space: space)
      firsts.append(
        try tokens(of: number).end(size: bytes, file: files[number].path, offset: files[number].size))
    }
  }

  /// Where the tokens of a file lie.
  private func tokens(of number: Int) -> TokenPlace {
    TokenPlace(type: layout.type, first: firsts[number], payload: files[number].payload)
  }

  var totalTokens: Int { firsts[files.count] }

  /// Puts every stream at its start plus `pairs` tokens.
  func begin(region: Range<Int>, pairs: Int) {
    self.region = region
    for stream in 0..<streams {
      let start = region.count.multipliedFullWidth(by: stream)
      progress[stream] = (streams.dividingFullWidth(start).quotient + pairs % region.count) % region.count
    }
  }

  func fill(stream: Int, into block: UnsafeMutableRawBufferPointer) -> Filled {
    var filled = Filled()
    let type = layout.type
    let tokens = type.tokens(in: block.count)
    do throws(StreamError) {
      while filled.tokens < tokens {
        let token = region.lowerBound + progress[stream]
        let rest = UnsafeMutableRawBufferPointer(
          rebasing: block[type.bytes(of: filled.tokens)..<type.bytes(of: tokens)])
        let count = try read(stream: stream, token: token, into: rest)
        filled.tokens += count
        progress[stream] = (progress[stream] + count) % region.count
        // No further than the end: else a small region would be read many times over, ahead of need.
        if progress[stream] == 0 { break }
      }
    } catch {
      filled.failure = error.at(token: region.lowerBound + progress[stream])
      // The id outside the vocabulary may lie behind good tokens in what was read last.
      if let index = filled.failure?.tokenIndex {
        filled.tokens += index - region.lowerBound - progress[stream]
      }
      filled.failure = filled.failure.map {
        FirstOutside.error($0, in: files, layout, after: region.lowerBound)
      }
    }
    return filled
  }

  /// The tokens from `token` on that lie in one file, and in one frame if there are frames.
  private func read(
    stream: Int, token: Int, into block: UnsafeMutableRawBufferPointer
  ) throws(StreamError) -> Int {
    let number = file(of: token)
    let place = tokens(of: number)
    let offset = place.byte(of: token)
    let last = min(region.upperBound, firsts[number + 1])
    let bytes = UnsafeMutableRawBufferPointer(
      rebasing: block[..<min(block.count, place.byte(of: last) - offset)])
    switch places[number] {
    case .plain:
      _ = try open.file(number, files[number]).input.readExactly(into: bytes, at: offset)
    case .scratch(let base): try scratch?.read(into: bytes, at: base + offset)
    case .frames:
      var done = 0
      while done < bytes.count {
        let part = UnsafeMutableRawBufferPointer(rebasing: bytes[done...])
        done += try readFrame(stream: stream, file: number, byte: offset + done, into: part)
      }
    }
    let count = layout.type.tokens(in: bytes.count)
    if let (outside, id) = layout.firstOutside(UnsafeRawBufferPointer(bytes), count: count) {
      throw layout.outside(
        id, token: token + outside, file: files[number].path,
        offset: files[number].format == .plain ? place.byte(of: token + outside) : nil)
    }
    return count
  }

  private func file(of token: Int) -> Int {
    var (low, high) = (0, files.count - 1)
    while low < high {
      let middle = (low + high + 1) / 2
      if firsts[middle] <= token { low = middle } else { high = middle - 1 }
    }
    return low
  }
}

// MARK: Frames

extension IndexedTokens {
  /// Decodes from the start of the frame that holds `byte`: the bytes from there on, at most to the end of the frame.
  private func readFrame(
    stream: Int, file number: Int, byte: Int, into bytes: UnsafeMutableRawBufferPointer
  ) throws(StreamError) -> Int {
    let frame = try find(byte, file: number, near: cursors[stream])
    cursors[stream] = frame
    let count = min(bytes.count, frame.end - byte)
    let goesOn = decodedFile == number && decoder.frame.offset == frame.offset && decoder.byteOffset <= byte
    if !goesOn {
      let input = try open.file(number, files[number]).input
      decoder.attach(input, as: files[number].format, offset: frame.offset, byte: frame.byte)
      decoder.verifier = FrameVerifier(
        try open.file(number, files[number]).frames(), from: frame, name: input.name)
      decodedFile = number
    }
    // The bytes before are decoded into the same memory and overwritten.
    while decoder.byteOffset < byte {
      let part = UnsafeMutableRawBufferPointer(
        rebasing: bytes[..<min(bytes.count, byte - decoder.byteOffset)])
      if try decoder.read(into: part) == 0 { throw mismatch(frame) }
    }
    let part = UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])
    guard try decoder.read(into: part) == count else { throw mismatch(frame) }
    // What follows the payload in its last frame is decoded for the frame's checksum.
    if byte + count == files[number].payload.end { try drain(to: frame.end) }
    if decoder.byteOffset == frame.end {
      guard try decoder.finishFrame(), decoder.frame.byte == frame.end else { throw mismatch(frame) }
    } else if decoder.frame.offset != frame.offset {
      throw mismatch(frame)
    }
    return count
  }

  private func drain(to end: Int) throws(StreamError) {
    var few: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    while decoder.byteOffset < end {
      let rest = end - decoder.byteOffset
      let count = try withUnsafeMutableBytes(of: &few) { (bytes) throws(StreamError) -> Int in
        try decoder.read(into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<min(rest, bytes.count)]))
      }
      if count == 0 { break }
    }
  }

  private func find(
    _ byte: Int, file number: Int, near cursor: FrameReference
  ) throws(StreamError) -> FrameReference {
    if cursor.file == number, (cursor.byte..<cursor.end).contains(byte) { return cursor }
    let lister = try open.file(number, files[number]).frames()
    var known = frames.frame(file: number, byte: byte)
    if cursor.file == number, cursor.byte <= byte, cursor.byte > known?.byte ?? -1 { known = cursor }
    var listing = if let known { FrameLister.Listing.frame(known) } else { try lister.first() }
    while case .frame(let frame) = listing {
      if byte < frame.end { return frame }
      listing = try lister.next(after: frame)
    }
    throw StreamError(.badData, "has changed since it was opened", file: files[number].path)
  }

  private func mismatch(_ frame: FrameReference) -> StreamError {
    FrameLister.mismatch(frame.offset, file: files[frame.file].path)
  }
}

// MARK: Placing files

extension IndexedTokens {
  /// Decides how a file is read, and returns its decoded bytes.
  private func place(
    _ number: Int, folder: String?, space: UnsafeMutableRawBufferPointer
  ) throws(StreamError) -> Int {
    let file = files[number]
    if file.format == .plain {
      places.append(.plain)
      return file.size
    }
    if let bytes = try listFrames(number) {
      places.append(.frames)
      return bytes
    }
    frames.remove(file: number)
    if scratch == nil { scratch = try ScratchFile(folder: folder) }
    guard let scratch else { return 0 }
    let base = scratch.byteCount
    places.append(.scratch(base: base))
    try unpack(number, to: scratch, space: space)
    return scratch.byteCount - base
  }

  /// The decoded bytes of a file whose frames are all small and known; nil for any other.
  private func listFrames(_ number: Int) throws(StreamError) -> Int? {
    let lister = try open.file(number, files[number]).frames()
    var bytes = 0
    var listing = try lister.first()
    while case .frame(let frame) = listing {
      guard frame.size <= Self.largestFrame else { return nil }
      bytes = frame.end
      frames.append(frame)
      listing = try lister.next(after: frame)
    }
    guard case .end = listing, bytes > 0 else { return nil }
    return bytes
  }

  private func unpack(
    _ number: Int, to scratch: ScratchFile, space: UnsafeMutableRawBufferPointer
  ) throws(StreamError) {
    let place = tokens(of: number)
    let needed = try DataSurvey.listedBytes(files[number], number).map { $0 + scratch.byteCount }
    decoder.attach(try InputFile(files[number]), as: files[number].format)
    let limit = layout.type.bytes(of: layout.type.tokens(in: space.count))
    do throws(StreamError) {
      while true {
        let start = decoder.byteOffset
        let (bytes, isTokens) = place.piece(from: start, limit: limit)
        let part = UnsafeMutableRawBufferPointer(rebasing: space[..<bytes])
        let count = try decoder.read(into: part)
        if count == 0 { break }
        let tokens = isTokens ? layout.type.tokens(in: count) : 0
        if let (outside, id) = layout.firstOutside(UnsafeRawBufferPointer(part), count: tokens) {
          throw layout.outside(
            id, token: place.token(at: start) + outside, file: files[number].path,
            offset: decoder.compressedOffset)
        }
        try scratch.append(UnsafeRawBufferPointer(rebasing: part[..<count]), needed: needed)
      }
    } catch {
      throw error.kind == .inputOutput ? error : error.at(token: place.token(at: decoder.byteOffset))
    }
  }
}
