import LongzooMemory

/// Turns the stored bytes of one file after the other into plain bytes, with fixed buffers.
///
/// One loop knows where frames begin and end, whatever their codec: so that concatenated and skippable frames, garbage and
/// missing ends are treated alike, and every place from which decoding can be taken up again is known.
final class ByteDecoder {
  static var bufferByteCount: Int { StoredBytes.byteCount }

  private enum State {
    case start, plain, boundary, ended
    case skippable(rest: Int)
    case frame
  }

  private let choice: CompressionChoice
  private let stored: StoredBytes
  private let frames: FrameDecoder

  private var codec: Codec?
  private var state = State.ended
  private var pending: StreamError?
  /// Asked before each piece: true ends the reading with an error of kind `interrupted`. nil: nobody interrupts.
  var isInterrupted: (() -> Bool)?
  /// What looks at the first bytes of a pipe; files are looked at when they are opened.
  private var headCheck: HeadCheck?
  private let newHeadCheck: HeadCheck
  /// Set after `attach` where a file is decoded in order.
  var verifier: FrameVerifier?
  /// Whether the stored bytes are the tokens themselves.
  private(set) var isPlain = false

  /// Decoded bytes of the file so far, with those before the place where decoding began.
  private(set) var byteOffset = 0
  /// The stored and the decoded bytes before the frame that is being decoded, or that comes next.
  private(set) var frame = (offset: 0, byte: 0)

  init(_ configuration: StreamConfiguration, memory: DecoderMemory, ledger: MemoryLedger) throws(StreamError)
  {
    choice = configuration.compression
    isInterrupted = configuration.isInterrupted
    newHeadCheck = HeadCheck(configuration)
    stored = try StoredBytes(ledger: ledger)
    frames = FrameDecoder(DecoderLimits(configuration), memory: memory)
  }

  private var file: InputFile? { stored.file }

  /// Stored bytes of the file before the next one to be decoded.
  var compressedOffset: Int { stored.offset }

  /// Whether all of the file is decoded.
  var isAtEnd: Bool {
    if case .ended = state { return pending == nil }
    return false
  }

  /// Bytes that the codecs' libraries say they hold.
  var libraryByteCount: Int { frames.byteCount }

  /// Memory for passing use while nothing is being decoded.
  var spareBuffer: UnsafeMutableRawBufferPointer {
    detach()
    return stored.space
  }

  func detach() {
    stored.attach(nil)
    state = .ended
    pending = nil
    verifier = nil
    headCheck = nil
    isPlain = false
    byteOffset = 0
  }

  /// Goes on with another file: from its start, or from the frame at `offset`, before which `byte` decoded bytes lie.
  func attach(_ file: InputFile, as format: DataFormat?, offset: Int = 0, byte: Int = 0) {
    detach()
    stored.attach(file, offset: offset)
    if file.isPipe { headCheck = newHeadCheck }
    byteOffset = byte
    frame = (offset, byte)
    codec = nil
    switch format {
    case nil: state = .start
    case .plain: becomePlain()
    case .frames(let codec):
      self.codec = codec
      state = .boundary
    }
  }

  /// Fills `output`; fewer bytes mean the end of the file, an error that the next call throws, or, if there is at
  /// least one byte, that a pipe has no more at the moment.
  func read(into output: UnsafeMutableRawBufferPointer) throws(StreamError) -> Int {
    if let error = pending { throw error }
    if let isInterrupted, isInterrupted() { throw StreamError(.interrupted, "reading was interrupted") }
    var produced = 0
    while produced < output.count {
      do {
        let rest = UnsafeMutableRawBufferPointer(rebasing: output[produced...])
        guard let count = try advance(into: rest, mayWait: produced == 0) else {
          if case .ended = state { headCheck?.finish(name: file?.name ?? "") }
          break
        }
        try look(at: UnsafeRawBufferPointer(rebasing: rest[..<count]))
        produced += count
        byteOffset += count
      } catch {
        pending = error
        state = .ended
        if produced == 0 { throw error }
        break
      }
    }
    return produced
  }

  private func look(at bytes: UnsafeRawBufferPointer) throws(StreamError) {
    guard let file, headCheck != nil else { return }
    try headCheck?.add(bytes, of: file, outer: codec)
    if headCheck?.isDone == true { headCheck = nil }
  }

  /// Passes over decoded bytes of a plain file without reading them; the number passed over.
  func jump(_ bytes: Int) -> Int? {
    guard isPlain, let file, !file.isPipe else { return nil }
    let count = min(bytes, max(0, file.size - byteOffset))
    byteOffset += count
    stored.move(to: byteOffset)
    return count
  }

  /// Checks that the frame has no more bytes, and its checksum with that.
  func finishFrame() throws(StreamError) -> Bool {
    var byte: UInt8 = 0
    var extra = 0
    while extra == 0, case .frame = state {
      do {
        extra = try withUnsafeMutableBytes(of: &byte) { (one) throws(StreamError) -> Int in
          try decode(into: one, mayWait: true) ?? 0
        }
      } catch {
        pending = error
        throw error
      }
    }
    byteOffset += extra
    return extra == 0
  }

  // MARK: The loop's steps

  /// One step: the number of bytes it produced; nil at the end, or where a pipe would have to be waited for.
  private func advance(
    into output: UnsafeMutableRawBufferPointer, mayWait: Bool
  ) throws(StreamError) -> Int? {
    switch state {
    case .ended: return nil
    case .start: return try detect(mayWait: mayWait) ? 0 : nil
    case .boundary: return try beginFrame(mayWait: mayWait) ? 0 : nil
    case .frame: return try decode(into: output, mayWait: mayWait)
    case .skippable(let rest):
      if stored.isEmpty {
        guard let more = try stored.refill(mayWait: mayWait) else { return nil }
        if !more { throw site.error("the file ends within a skippable frame", advice: FrameSite.cutOff) }
      }
      let count = min(rest, stored.unread.count)
      stored.use(count)
      state = count == rest ? .boundary : .skippable(rest: rest - count)
      if count == rest { frame = (compressedOffset, byteOffset) }
      return 0
    case .plain:
      if stored.isEmpty {
        guard let more = try stored.refill(mayWait: mayWait) else { return nil }
        if !more { state = .ended }
      }
      return stored.copy(to: output)
    }
  }

  private func detect(mayWait: Bool) throws(StreamError) -> Bool {
    guard let file else { return false }
    var atEnd = false
    while true {
      if let format = try DataFormat.detect(stored.unread, atEnd: atEnd, choice: choice, name: file.name) {
        if case .frames(let codec) = format { self.codec = codec }
        state = .boundary
        if format == .plain { becomePlain() }
        return true
      }
      guard let more = try stored.refill(mayWait: mayWait) else { return false }
      atEnd = !more
    }
  }

  private func becomePlain() {
    state = .plain
    isPlain = true
  }

  /// Reads the header of the next frame, if there is one.
  private func beginFrame(mayWait: Bool) throws(StreamError) -> Bool {
    var parsed = FrameHead(stored.unread)
    while parsed == .incomplete {
      guard let more = try stored.refill(mayWait: mayWait) else { return false }
      parsed = FrameHead(stored.unread)
      if !more {
        if stored.isEmpty {
          state = .ended
          return false
        }
        if parsed == .incomplete {
          throw site.error("the file ends within the header of a frame", advice: FrameSite.cutOff)
        }
      }
    }
    switch parsed {
    case .skippable(let size): state = .skippable(rest: size)
    case .frame(let header) where codec == nil || header.codec == codec:
      try frames.begin(header, at: site)
      codec = header.codec
      state = .frame
    case .outdated(let codec) where compressedOffset == 0: throw site.outdated(codec)
    default: throw site.garbage(after: codec)
    }
    return true
  }

  private func decode(
    into output: UnsafeMutableRawBufferPointer, mayWait: Bool
  ) throws(StreamError) -> Int? {
    // First without more input: the codec may hold output that did not fit before.
    let step = frames.step(stored.unread, into: output)
    stored.use(step.consumed)
    if let failure = step.failure {
      if step.lacksMemory {
        throw StreamError(
          .inputOutput, failure, advice: "make the run smaller, or raise its limits (ulimit -v)",
          file: file?.name,
          compressedOffset: compressedOffset)
      }
      throw site.error(failure, advice: "the file is damaged: make it anew")
    }
    if step.frameEnded {
      state = .boundary
      let end = (compressedOffset, byteOffset + step.produced)
      try verifier?.endFrame(from: frame, to: end)
      frame = end
    } else if step.produced == 0, step.consumed == 0 {
      guard let more = try stored.refill(mayWait: mayWait) else { return nil }
      if !more {
        throw site.error(
          "the file ends within a \(codec?.name ?? "compressed") frame", advice: FrameSite.cutOff)
      }
    }
    return step.produced
  }

  private var site: FrameSite { FrameSite(file: file?.name, offset: compressedOffset) }
}
