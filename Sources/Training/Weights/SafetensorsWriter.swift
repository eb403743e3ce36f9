import LongzooMemory

/// One tensor for a safetensors file, and where its bytes come from.
package struct TensorToWrite {
  /// Fills `buffer` with the tensor's bytes from `offset` on. Both are whole elements.
  package typealias Fill = (_ offset: Int, _ buffer: UnsafeMutableRawBufferPointer) throws -> Void

  fileprivate enum Source {
    case memory(UnsafeRawBufferPointer)
    case fill(Fill)
  }

  package let name: String
  package let dtype: Safetensors.DType
  package let shape: [Int]
  package let byteCount: Int
  fileprivate let source: Source

  /// A tensor that lies in memory as the file wants it. `bytes` must live until it is written.
  package init(name: String, dtype: Safetensors.DType, shape: [Int], bytes: UnsafeRawBufferPointer) {
    self.init(name, dtype, shape, .memory(bytes))
    precondition(
      bytes.count == byteCount, "\(name): \(bytes.count) bytes for the \(byteCount) of shape \(shape)")
  }

  /// Floats that lie in memory row by row.
  package init(name: String, shape: [Int], floats: UnsafeBufferPointer<Float>) {
    self.init(name: name, dtype: .f32, shape: shape, bytes: UnsafeRawBufferPointer(floats))
  }

  /// A tensor that is computed piece by piece, in order: for layouts that differ from the one in memory.
  package init(name: String, dtype: Safetensors.DType, shape: [Int], fill: @escaping Fill) {
    self.init(name, dtype, shape, .fill(fill))
  }

  private init(_ name: String, _ dtype: Safetensors.DType, _ shape: [Int], _ source: Source) {
    guard let bytes = Safetensors.byteCount(dtype, shape) else {
      preconditionFailure("\(name): shape \(shape) is not one of a tensor in memory")
    }
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.byteCount = bytes
    self.source = source
  }

  /// Hands the bytes on in pieces: straight from memory, or through `buffer`.
  fileprivate func forEachPiece(
    through buffer: UnsafeMutableRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    switch source {
    case .memory(let bytes): try body(bytes)
    case .fill(let fill):
      for offset in stride(from: 0, to: byteCount, by: buffer.count) {
        let piece = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(byteCount - offset))
        try fill(offset, piece)
        try body(UnsafeRawBufferPointer(piece))
      }
    }
  }
}

/// Writes safetensors files through one fixed buffer, atomically.
package enum SafetensorsWriter {
  /// Writes `path`; the old file stays as it was if anything fails. `"format":"pt"` is added to the metadata, and checksums of all
  /// that is written, where they can be put in at the end: not in a pipe.
  /// - Throws: what a tensor's `fill` throws, or `RunFailure` with exit code 74.
  package static func write(
    to path: String, isOfRun: Bool = false, metadata: [String: String], tensors: [TensorToWrite],
    through buffer: TransferBuffer
  ) throws {
    let ordered = inFileOrder(tensors)
    try AtomicFile.write(to: path, isOfRun: isOfRun) { file in
      var checksums = FileChecksums()
      checksums.add(metadata)
      for tensor in ordered { checksums.add(0, of: tensor.name) }
      func header() -> [UInt8] {
        let list = file.isSeekable ? [FileChecksums.key: checksums.text] : [:]
        return self.header(metadata: metadata.merging(list) { $1 }, ordered)
      }
      try header().withUnsafeBytes { try file.write($0) }
      for tensor in ordered {
        var checksum = Checksum()
        try tensor.forEachPiece(through: buffer.bytes) {
          checksum.add($0)
          try file.write($0)
        }
        checksums.add(checksum.value, of: tensor.name)
      }
      if file.isSeekable { try header().withUnsafeBytes { try file.replace(with: $0) } }
    }
  }

  /// The SHA-256 over names, types, shapes and bytes, in hex: equal exactly when all of these are.
  /// The order in which the tensors are given does not matter.
  package static func digest(of tensors: [TensorToWrite], through buffer: TransferBuffer) throws -> String {
    var digest = Digest()
    for tensor in inFileOrder(tensors) {
      digest.update("\(tensor.name) \(tensor.dtype.rawValue) \(tensor.shape)")
      try tensor.forEachPiece(through: buffer.bytes) { digest.update($0) }
    }
    return digest.hex
  }

  /// Wide elements first, so that every tensor is aligned to its elements; then by name, so that files compare.
  private static func inFileOrder(_ tensors: [TensorToWrite]) -> [TensorToWrite] {
    let ordered = tensors.sorted { ($1.dtype.width, $0.name) < ($0.dtype.width, $1.name) }
    let names = Set(tensors.map(\.name))
    precondition(names.count == tensors.count, "two tensors of one name among \(tensors.map(\.name))")
    precondition(!names.contains("__metadata__"), "__metadata__ is no name for a tensor")
    return ordered
  }

  /// The length, the JSON, and spaces up to a multiple of 8.
  private static func header(metadata: [String: String], _ tensors: [TensorToWrite]) -> [UInt8] {
    let pairs = metadata.merging(["format": "pt"]) { given, _ in given }.sorted { $0.key < $1.key }
    let notes = pairs.map { "\(JSONText.quoted($0.key)):\(JSONText.quoted($0.value))" }
    var items = ["\"__metadata__\":{\(notes.joined(separator: ","))}"]
    var offset = 0
    for tensor in tensors {
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      let end = offset + tensor.byteCount
      items.append(
        """
        \(JSONText.quoted(tensor.name)):{"dtype":"\(tensor.dtype.rawValue)","shape":[\(shape)],\
        "data_offsets":[\(offset),\(end)]}
        """)
      offset = end
    }
    var json = Array("{\(items.joined(separator: ","))}".utf8)
    json += [UInt8](repeating: 0x20, count: (8 - json.count % 8) % 8)
    precondition(json.count <= Safetensors.maximumHeaderBytes, "a header of \(json.count) bytes")
    return withUnsafeBytes(of: UInt64(json.count).littleEndian) { Array($0) } + json
  }
}
