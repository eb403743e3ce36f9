/// How much data there is, as far as that is known without decoding it.
///
/// It is for plans and estimates: what files say of themselves may be wrong, which only `TokenFeed` finds out.
public struct DataOutline: Equatable, Sendable {
  /// Bytes as they are stored, over all files.
  public let storedBytes: Int
  /// Tokens to train on; nil where only decoding tells.
  public let trainingTokens: Int?
  /// Tokens that are held out of them; nil where only decoding tells.
  public let heldOutTokens: Int?

  /// Stored bytes of the files that are compressed: what has to be unpacked to be read as a whole. 0 for a pipe, which is not touched.
  /// - Throws: `StreamError` for files that are not there or cannot be what they are said to be.
  package static func compressedBytes(_ configuration: StreamConfiguration) throws(StreamError) -> Int {
    let files = try DataFile.inspect(configuration) ?? []
    return files.reduce(0) { $0 + ($1.format == .plain ? 0 : $1.size) }
  }

  /// Looks at the files and, in compressed ones, at the sizes that their frames name; nil for a pipe, which is not touched.
  /// - Throws: `StreamError` for files that are not there or cannot be what they are said to be, and for too few tokens.
  public init?(_ configuration: StreamConfiguration) throws(StreamError) {
    try configuration.validate()
    guard let files = try DataFile.inspect(configuration) else { return nil }
    storedBytes = files.reduce(0) { $0 + $1.size }
    var bytes: Int? = 0
    for (number, file) in files.enumerated() {
      let size = file.format == .plain ? file.size : try DataSurvey.listedBytes(file, number)
      let payload =
        try file.isPayloadKnown
        ? size.map { (size) throws(StreamError) in
          try file.payload.byteCount(of: size, file: file.path)
        } : nil
      bytes = bytes.flatMap { sum in payload.map { sum + $0 } }
    }
    guard let bytes else {
      (trainingTokens, heldOutTokens) = (nil, nil)
      return
    }
    let regions = try DataRegions(configuration, total: configuration.tokenType.tokens(in: bytes))
    (trainingTokens, heldOutTokens) = (regions.training.count, regions.heldOut.count)
  }
}
