import LongzooMemory

/// A regular file of the data, as far as it is known before it is decoded.
struct DataFile {
  var path: String
  /// What it was when it was looked at.
  var stamp: FileStamp
  var format: DataFormat
  /// The header of its first frame; later frames may need more memory.
  var firstFrame: FrameHeader?

  /// Where its tokens lie. Of compressed files only decoding tells, unless all containers are alike.
  var payload = Payload.whole
  var isPayloadKnown = true

  /// Stored bytes.
  var size: Int { stamp.size }

  /// Looks at every file; nil if the data is a pipe (standard input, or a path that is no regular file).
  ///
  /// - Throws: `.noSuchFile`, `.inputOutput`, `.badData` for what is empty or not what it is said to be, and `.invalidConfiguration` for a pipe
  ///   where only files will do.
  static func inspect(_ configuration: StreamConfiguration) throws(StreamError) -> [DataFile]? {
    if configuration.paths == ["-"] {
      try requireFiles(configuration, name: "standard input")
      return nil
    }
    var files: [DataFile] = []
    for path in configuration.paths {
      // Asked before it is opened: a named pipe can be opened only once.
      if DataPath.isPipe(path) {
        guard configuration.paths.count == 1 else {
          throw StreamError(
            .invalidConfiguration, "a pipe cannot be one of several files",
            remedy: .joinFiles, file: path)
        }
        try requireFiles(configuration, name: path)
        return nil
      }
      let input = try InputFile(path: path)
      var file = try inspect(input, choice: configuration.compression)
      try file.findPayload(of: input, configuration)
      files.append(file)
    }
    return files
  }

  private static func requireFiles(_ configuration: StreamConfiguration, name: String) throws(StreamError) {
    if configuration.streams > 1 {
      throw StreamError(
        .invalidConfiguration, "a pipe cannot be read at \(configuration.streams) positions at once",
        advice: "say \(.streams) 1, or give files", file: name)
    }
    if configuration.data.holdsOut {
      throw StreamError(
        .invalidConfiguration, "a pipe has no known end from which to hold out a fraction",
        remedy: .separateFiles, file: name)
    }
  }

  private static func inspect(_ file: InputFile, choice: CompressionChoice) throws(StreamError) -> DataFile {
    guard let stamp = file.stamp, stamp.size > 0 else {
      throw StreamError(.badData, "is empty", advice: "make it anew or leave it out", file: file.name)
    }
    var result = DataFile(path: file.name, stamp: stamp, format: .plain)
    var head = try FrameHead.read(file, at: 0) { (bytes) throws(StreamError) in
      result.format =
        try DataFormat.detect(bytes, atEnd: true, choice: choice, name: file.name) ?? .plain
    }
    guard result.format != .plain else { return result }
    var offset = 0
    while case .skippable(let size) = head, offset + size < file.size {
      offset += size
      head = try FrameHead.read(file, at: offset)
    }
    if case .frame(let header) = head { result.firstFrame = header }
    return result
  }
}

extension DataFile {
  /// The memory for decompressors that these files ask for; what is over a limit is refused later, not reserved.
  static func need(of files: [DataFile], _ limits: DecoderLimits) -> DecoderNeed {
    files.reduce(DecoderNeed()) { need, file in
      guard let frame = file.firstFrame, frame.fits(limits) else { return need }
      return need.union(DecoderNeed(frame))
    }
  }

  /// Sizes and ends of all files, in their order.
  /// - Parameter buffer: at least 64 KiB, for passing use.
  static func identity(
    of files: [DataFile], buffer: UnsafeMutableRawBufferPointer
  ) throws(StreamError) -> DataIdentity {
    let end = 64 * 1024
    var digest = Digest()
    for file in files {
      let input = try InputFile(file)
      digest.add(UInt64(file.size))
      for offset in Set([0, max(0, file.size - end)]).sorted() {
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(end, file.size)])
        _ = try input.readExactly(into: part, at: offset)
        digest.add(UnsafeRawBufferPointer(part))
      }
    }
    return DataIdentity(
      bytes: files.reduce(0) { $0 + $1.size }, files: files.count, digest: digest.value)
  }
}

extension FrameHead {
  /// The head of the frame at `offset` of a file; `.unknown` at its end.
  static func read(
    _ file: InputFile, at offset: Int,
    _ look: (UnsafeRawBufferPointer) throws(StreamError) -> Void = { _ in }
  ) throws(StreamError) -> FrameHead {
    var storage: (UInt64, UInt64, UInt64) = (0, 0, 0)
    return try withUnsafeMutableBytes(of: &storage) { (bytes) throws(StreamError) -> FrameHead in
      let part = UnsafeMutableRawBufferPointer(
        rebasing: bytes[..<max(0, min(maxLength, file.size - offset))])
      guard !part.isEmpty else { return .unknown }
      _ = try file.readExactly(into: part, at: offset)
      try look(UnsafeRawBufferPointer(part))
      return FrameHead(UnsafeRawBufferPointer(part))
    }
  }
}
