import LongzooMemory

extension DataFile {
  /// Learns the payload of a plain file by its first bytes, and of any file where no container needs them.
  mutating func findPayload(
    of input: InputFile, _ configuration: StreamConfiguration
  ) throws(StreamError) {
    let count = configuration.containerHeadBytes
    isPayloadKnown = count == 0 || format == .plain
    guard isPayloadKnown else { return }
    let head = UnsafeMutableRawBufferPointer.allocate(byteCount: min(count, size), alignment: 1)
    defer { head.deallocate() }
    _ = try input.readExactly(into: head, at: 0)
    payload = try configuration.payload(UnsafeRawBufferPointer(head), file: path)
  }

  /// The files with the payloads that only decoding tells; nil for a pipe.
  /// - Parameter space: free memory to decode into, at least `containerHeadBytes`.
  static func withPayloads(
    _ files: [DataFile]?, _ configuration: StreamConfiguration, decoder: ByteDecoder,
    space: UnsafeMutableRawBufferPointer
  ) throws(StreamError) -> [DataFile]? {
    guard var files else { return nil }
    for number in files.indices where !files[number].isPayloadKnown {
      decoder.attach(try InputFile(files[number]), as: files[number].format)
      let head = UnsafeMutableRawBufferPointer(rebasing: space[..<configuration.containerHeadBytes])
      // What cannot be decoded is left to the reading, which says where.
      let count = (try? decoder.read(into: head)) ?? 0
      decoder.detach()
      files[number].payload = try configuration.payload(
        UnsafeRawBufferPointer(rebasing: head[..<count]), file: files[number].path)
      files[number].isPayloadKnown = true
    }
    return files
  }
}
