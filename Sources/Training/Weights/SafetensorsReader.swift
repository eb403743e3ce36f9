import Foundation
import LongzooMemory

/// An open safetensors file, its header validated; tensors are read in place, never the whole file.
package final class SafetensorsReader {
  package let path: String
  /// Without the checksums.
  package let metadata: [String: String]
  /// In the order of the data.
  package let entries: [Safetensors.Entry]
  private let byName: [String: Safetensors.Entry]
  private let dataStart: Int
  private let descriptor: Int32
  private var watch: ChecksumWatch

  /// Opens `path` and checks all that can be checked without reading the tensors. Their checksums, where the file has some, are
  /// looked at as they are read from their start to their end.
  /// - Throws: exit code 66 when it cannot be opened, 65 when it is not a sound file, with the offset of the fault.
  package init(path: String) throws(RunFailure) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw .missingInput("cannot open \(path): \(RunFailure.reason(errno))") }
    do throws(RunFailure) {
      let (header, length, size) = try Self.readHeader(descriptor, path)
      let parsed = try SafetensorsHeader(header, dataBytes: size - 8 - length, path: path)
      self.metadata = parsed.metadata.filter { $0.key != FileChecksums.key }
      self.entries = parsed.entries
      self.dataStart = 8 + length
      watch = ChecksumWatch(try FileChecksums(parsed.metadata, path: path))
    } catch {
      close(descriptor)
      throw error
    }
    self.path = path
    self.descriptor = descriptor
    self.byName = Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0) })
  }

  deinit {
    close(descriptor)
  }

  /// The tensor of that name, or nil.
  package subscript(name: String) -> Safetensors.Entry? { byName[name] }

  /// Reads the whole tensor into `destination`, whose size must be the tensor's.
  /// - Throws: exit code 65 when there is no such tensor, the size differs or the file ends early; 74 when the
  ///   system cannot read.
  package func read(_ name: String, into destination: UnsafeMutableRawBufferPointer) throws(RunFailure) {
    guard let entry = byName[name] else { throw .badData("\(path) has no tensor \"\(name)\"") }
    guard entry.byteCount == destination.count else {
      throw .badData(
        "\(path): tensor \"\(name)\" of shape \(entry.shape) has \(entry.byteCount) bytes, not \(destination.count)"
      )
    }
    try read(entry, from: 0, into: destination)
  }

  /// Reads a part: `destination.count` bytes from `offset` bytes behind the start of the tensor.
  /// - Throws: exit code 65 when the file ends early or is damaged, 74 when the system cannot read.
  package func read(
    _ entry: Safetensors.Entry, from offset: Int, into destination: UnsafeMutableRawBufferPointer
  ) throws(RunFailure) {
    precondition(
      offset >= 0 && offset + destination.count <= entry.byteCount,
      "bytes \(offset)..<\(offset + destination.count) of the \(entry.byteCount) of \(entry.name)")
    try Self.fill(destination, from: dataStart + entry.range.lowerBound + offset, descriptor, path)
    guard watch.isSound(UnsafeRawBufferPointer(destination), from: offset, of: entry) else {
      throw FileChecksums.damaged(path, "tensor \"\(entry.name)\"")
    }
  }

  /// Reads all tensors, for their checksums.
  /// - Throws: exit code 65 where the file is damaged, as far as it says what it should be; 74 when the system cannot read.
  package func requireSound(through buffer: TransferBuffer) throws(RunFailure) {
    for entry in entries {
      for offset in stride(from: 0, to: entry.byteCount, by: TransferBuffer.byteCount) {
        let piece = buffer.bytes[..<min(TransferBuffer.byteCount, entry.byteCount - offset)]
        try read(entry, from: offset, into: UnsafeMutableRawBufferPointer(rebasing: piece))
      }
    }
  }

  /// Reads floats one after the other, as many at a time as `buffer` holds.
  /// - Parameter body: gets the number of the piece's first element.
  /// - Throws: as the other `read`.
  package func read(
    _ entry: Safetensors.Entry, through buffer: UnsafeMutableRawBufferPointer,
    _ body: (_ first: Int, UnsafeBufferPointer<Float>) -> Void
  ) throws(RunFailure) {
    let floats = buffer.assumingMemoryBound(to: Float.self)
    for first in stride(from: 0, to: entry.elementCount, by: floats.count) {
      let piece = floats.extracting(..<min(floats.count, entry.elementCount - first))
      try readFloats(entry, from: first, into: piece)
      body(first, UnsafeBufferPointer(piece))
    }
  }

  private static func readHeader(
    _ descriptor: Int32, _ path: String
  ) throws(RunFailure) -> (header: [UInt8], length: Int, fileSize: Int) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system("read", path, errno: errno) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw .badData("\(path) is not a file") }
    let size = Int(status.st_size)
    guard size >= 8 else { throw .badData("\(path): \(size) bytes are too few for a safetensors file") }
    var raw: UInt64 = 0
    try withUnsafeMutableBytes(of: &raw) { (bytes) throws(RunFailure) in
      try fill(bytes, from: 0, descriptor, path)
    }
    let length = UInt64(littleEndian: raw)
    guard length <= UInt64(Safetensors.maximumHeaderBytes), length <= UInt64(size - 8) else {
      throw .badData(
        "\(path): byte 0: a header of \(length) bytes in a file of \(size); not a sound safetensors file")
    }
    // The bytes, and what is made of them.
    guard length < 1 << 20 || AddressSpace.isFree(4 * Int(length) + AddressSpace.slack) else {
      throw .inputOutput(
        "\(path): the system has no memory for its header of \(ByteSize.formatted(Int(length))); raise its limits (ulimit -v)"
      )
    }
    var header = [UInt8](repeating: 0, count: Int(length))
    var room = header.mutableSpan
    try room.withUnsafeMutableBytes { (bytes) throws(RunFailure) in
      try fill(bytes, from: 8, descriptor, path)
    }
    return (header, Int(length), size)
  }

  /// pread until `destination` is full.
  private static func fill(
    _ destination: UnsafeMutableRawBufferPointer, from start: Int, _ descriptor: Int32, _ path: String
  ) throws(RunFailure) {
    var done = 0
    while done < destination.count {
      let count = pread(descriptor, destination.baseAddress! + done, destination.count - done, start + done)
      if count < 0 {
        if errno == EINTR { continue }
        throw .system("read", path, errno: errno)
      }
      if count == 0 { throw .badData("\(path): byte \(start + done): the file ends early") }
      done += count
    }
  }
}
