import LongzooMemory

/// A place in a compressed file, and what can be wrong there.
struct FrameSite {
  var file: String?
  /// Stored bytes before the place.
  var offset: Int

  static let cutOff: Wording = "it is cut off or was not written to its end: make it anew"

  func error(_ text: Wording, advice: Wording) -> StreamError {
    StreamError(.badData, text, advice: advice, file: file, compressedOffset: offset)
  }

  /// - Parameter codec: that of the frames before; nil: there was none.
  func garbage(after codec: Codec?) -> StreamError {
    let names = codec.map { [$0] } ?? Codec.packers
    let kind = "\(names.map(\.name).joined(separator: " or ")) frame"
    if offset == 0 {
      return error(
        "does not begin with a \(kind)", advice: "say \(.compression) none if the data is not compressed")
    }
    return error(
      "what follows the last frame is no \(kind)", advice: "cut the file off here, or make it anew")
  }

  /// An older kind of frame.
  func outdated(_ codec: Codec) -> StreamError {
    let frames = codec.frames?.outdated
    return error(frames?.problem ?? "is too old", advice: frames?.advice ?? "recompress it")
  }

  /// Refuses a frame whose header is damaged, or asks for what is not there or not allowed.
  func require(_ frame: FrameHeader, _ limits: DecoderLimits) throws(StreamError) {
    let name = frame.codec.name
    if !frame.isValid { throw error("the \(name) frame header is damaged", advice: "make the file anew") }
    if frame.needsDictionary {
      throw error("the \(name) frame needs a dictionary", advice: "recompress the data without one")
    }
    if !frame.fits(limits), let said = frame.codec.frames?.tooLarge(frame.workspace, limits) {
      throw error(said.problem, advice: said.advice)
    }
  }
}
