import LongzooMemory

extension SafetensorsReader {
  /// Reads a part of a tensor as 32-bit floats, which hold every value of F16 and BF16 exactly.
  ///
  /// - Parameters:
  ///   - entry: a tensor for which `Safetensors.DType.isFloat32OrNarrower` holds.
  ///   - offset: elements from the start of the tensor.
  ///   - destination: as many floats as are read. Narrower elements are read into its second half and widened from the front on,
  ///     so that no second buffer is needed.
  /// - Throws: exit code 65 when the file ends early, 74 when the system cannot read.
  package func readFloats(
    _ entry: Safetensors.Entry, from offset: Int, into destination: UnsafeMutableBufferPointer<Float>
  ) throws(RunFailure) {
    precondition(entry.dtype.isFloat32OrNarrower, "\(entry.name) is \(entry.dtype.rawValue)")
    let bytes = UnsafeMutableRawBufferPointer(destination)
    let width = entry.dtype.width
    let stored = UnsafeMutableRawBufferPointer(rebasing: bytes[(bytes.count - destination.count * width)...])
    try read(entry, from: offset * width, into: stored)
    guard entry.dtype != .f32 else { return }
    let isHalf = entry.dtype == .f16
    for i in destination.indices {
      let bits = stored.loadUnaligned(fromByteOffset: i * 2, as: UInt16.self)
      destination[i] = isHalf ? Float(Float16(bitPattern: bits)) : Float(bitPattern: UInt32(bits) << 16)
    }
  }
}

extension Safetensors.DType {
  /// What weights may be stored as.
  package var isFloat32OrNarrower: Bool { self == .f32 || self == .f16 || self == .bf16 }
}
