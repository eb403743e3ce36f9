import LongzooMemory

/// The tokens of one file after the other: what lies in a file's payload, of the bytes that a decoder makes of it.
final class PayloadReader {
  let decoder: ByteDecoder
  private let configuration: StreamConfiguration
  private let stop: StopSignal?

  private(set) var input: InputFile?
  /// Where the tokens of the file lie.
  private var place: TokenPlace
  /// Whether its payload is known: of a pipe only after its first bytes.
  private var isPlaceKnown = false
  /// Bytes that were decoded and are not yet passed on: of a token of which the rest has not yet come through the
  /// pipe, or those after what told the container of a pipe.
  private var held: [UInt8] = []
  /// Told of the bytes of tokens that are passed over, while it is set.
  var digest: PipeDigest?

  private var type: TokenType { configuration.tokenType }

  init(_ configuration: StreamConfiguration, decoder: ByteDecoder, stop: StopSignal?) {
    self.configuration = configuration
    self.decoder = decoder
    self.stop = stop
    place = TokenPlace(type: configuration.tokenType)
    held.reserveCapacity(4)
  }

  var name: String { input?.name ?? "the data" }

  /// Decoded bytes of the file before those that are not yet passed on.
  private var byte: Int { decoder.byteOffset - held.count }

  /// The index in the data of the next token.
  var index: Int { place.token(at: byte) }

  /// The place of the next token, in the file of this number.
  func point(file: Int) -> RestartPoint {
    RestartPoint(
      file: file, frameOffset: decoder.frame.offset, frameByte: decoder.frame.byte,
      skip: max(0, byte - decoder.frame.byte), token: index)
  }

  /// Stored bytes before a token, as far as they can be told, where `tokens` were read after its start.
  func storedOffset(back tokens: Int) -> Int {
    decoder.isPlain
      ? decoder.byteOffset - type.bytes(of: tokens) - held.count : decoder.compressedOffset
  }

  // MARK: Files

  /// Goes on with the pipe.
  func attach(pipe: InputFile) {
    (input, place, isPlaceKnown) = (pipe, TokenPlace(type: type), false)
    decoder.attach(pipe, as: nil)
    held.removeAll(keepingCapacity: true)
  }

  /// Goes on with a file, from its start or from the frame at `offset`, before which `byte` decoded bytes lie.
  /// - Parameter first: the index in the data of the file's first token.
  func attach(
    _ opened: InputFile, _ file: DataFile, first: Int, offset: Int, byte: Int
  ) throws(StreamError) {
    (input, isPlaceKnown) = (opened, true)
    place = TokenPlace(type: type, first: first, payload: file.payload)
    decoder.attach(opened, as: file.format, offset: offset, byte: byte)
    if case .frames = file.format { decoder.verifier = try FrameVerifier(opened, from: offset) }
    held.removeAll(keepingCapacity: true)
  }

  /// Goes to a place of the file that was attached for it.
  /// - Returns: false if the file ends before.
  func seek(_ point: RestartPoint, using block: UnsafeMutableRawBufferPointer) throws(StreamError) -> Bool {
    let target = point.frameByte + point.skip
    place.first = point.token - place.token(at: target)
    try pass(to: target, using: block)
    return byte >= target
  }

  /// The index of the first token after the file, all of which has been read.
  /// - Throws: `.badData` for a file that is empty, cut off, or ends within a token.
  func end() throws(StreamError) -> Int {
    try place.end(size: decoder.byteOffset, file: name, offset: decoder.compressedOffset)
  }

  // MARK: Tokens

  /// Goes to the first token, if the file begins with something else.
  func enter(using block: UnsafeMutableRawBufferPointer) throws(StreamError) {
    if !isPlaceKnown { try learnPayload(using: block) }
    try pass(to: place.payload.start, using: block)
  }

  /// Reads the next tokens into `block`, none from `bound` on; after `enter`.
  /// - Returns: the number of tokens: 0 at the end of the payload, after which the rest of the file is read too, for
  ///   its checksums, and where less than a token has come through a pipe.
  func read(into block: UnsafeMutableRawBufferPointer, before bound: Int?) throws(StreamError) -> Int {
    let tokens = type.tokens(in: block.count)
    let limit = type.bytes(of: bound.map { min(tokens, $0 - index) } ?? tokens)
    let (bytes, isTokens) = place.piece(from: byte, limit: limit)
    guard isTokens else {
      try drain(using: block)
      return 0
    }
    var count = min(held.count, bytes)
    for offset in 0..<count { block[offset] = held[offset] }
    held.removeFirst(count)
    if held.isEmpty {
      count += try decoder.read(into: UnsafeMutableRawBufferPointer(rebasing: block[count..<bytes]))
    }
    held.insert(contentsOf: block[(count - type.bytesLeft(of: count))..<count], at: 0)
    return type.tokens(in: count)
  }

  /// Passes over at most `bytes` bytes of tokens. The block is free memory.
  /// - Returns: the number of bytes; 0 at the end of the payload.
  func pass(_ bytes: Int, using block: UnsafeMutableRawBufferPointer) throws(StreamError) -> Int {
    try enter(using: block)
    let (bytes, isTokens) = place.piece(from: byte, limit: bytes)
    if isTokens { return try passOver(bytes, using: block) }
    try drain(using: block)
    return 0
  }

  // MARK: Bytes

  /// Reads as much of a pipe as tells what it is, and keeps it.
  private func learnPayload(using block: UnsafeMutableRawBufferPointer) throws(StreamError) {
    let head = UnsafeMutableRawBufferPointer(rebasing: block[..<configuration.containerHeadBytes])
    var count = 0
    while count < head.count, !decoder.isAtEnd {
      count += try decoder.read(into: UnsafeMutableRawBufferPointer(rebasing: head[count...]))
    }
    place.payload = try configuration.payload(
      UnsafeRawBufferPointer(rebasing: head[..<count]), file: name)
    isPlaceKnown = true
    held.append(contentsOf: head[..<count])
  }

  /// Passes over decoded bytes up to one of them, or to the file's end.
  private func pass(to end: Int, using block: UnsafeMutableRawBufferPointer) throws(StreamError) {
    while byte < end, try passOver(end - byte, using: block) > 0 {
      if stop?.isRaised == true { throw StreamError(.interrupted, "reading was interrupted") }
    }
  }

  private func passOver(
    _ bytes: Int, using block: UnsafeMutableRawBufferPointer
  ) throws(StreamError) -> Int {
    if !held.isEmpty {
      let count = min(bytes, held.count)
      held.withUnsafeBytes { digest?.add(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
      held.removeFirst(count)
      return count
    }
    if let count = decoder.jump(bytes) { return count }
    let part = UnsafeMutableRawBufferPointer(rebasing: block[..<min(bytes, block.count)])
    let count = try decoder.read(into: part)
    digest?.add(UnsafeRawBufferPointer(rebasing: part[..<count]))
    return count
  }

  /// Decodes what follows the payload.
  private func drain(using block: UnsafeMutableRawBufferPointer) throws(StreamError) {
    held.removeAll(keepingCapacity: true)
    while try decoder.read(into: block) > 0 {}
  }
}
