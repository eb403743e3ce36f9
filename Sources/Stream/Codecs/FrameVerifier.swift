/// Holds the sizes that a seek table names against those of the frames, as they are decoded one after the other.
struct FrameVerifier {
  private let lister: FrameLister
  private let name: String
  private var next: FrameLister.Listing

  /// nil for a file without a table.
  /// - Parameter offset: stored bytes before the frame that is decoded first.
  init?(_ input: InputFile, from offset: Int) throws(StreamError) {
    lister = try FrameLister(input, file: 0)
    guard lister.hasTable else { return nil }
    name = input.name
    next = try lister.first()
    while case .frame(let frame) = next, frame.offset < offset { next = try lister.next(after: frame) }
  }

  /// - Parameter frame: the one that is decoded first.
  init?(_ lister: FrameLister, from frame: FrameReference, name: String) {
    guard lister.hasTable else { return nil }
    self.lister = lister
    self.name = name
    next = .frame(frame)
  }

  /// To be called at the end of every frame, with the stored and the decoded bytes before its start and its end.
  mutating func endFrame(
    from start: (offset: Int, byte: Int), to end: (offset: Int, byte: Int)
  ) throws(StreamError) {
    let size = end.byte - start.byte
    if size == 0 { return }
    guard case .frame(let frame) = next, frame.offset == start.offset, frame.size == size,
      frame.compressedSize == end.offset - start.offset
    else { throw FrameLister.mismatch(start.offset, file: name) }
    next = try lister.next(after: frame)
  }
}
