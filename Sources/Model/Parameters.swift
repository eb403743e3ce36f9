import Glibc
import Memory

/// The model's parameters, one vector of Float in the order of `ModelShape.tensors`.
public final class Parameters {
  public let shape: ModelShape
  public let values: Buffer<Float>

  public static func byteCount(for shape: ModelShape) -> Int {
    Buffer<Float>.byteCount(for: shape.parameterCount)
  }

  /// All zero.
  public init(
    _ shape: ModelShape, category: MemoryCategory = .parameters, for purpose: String = "the parameters",
    ledger: MemoryLedger
  ) throws(MemoryError) {
    self.shape = shape
    values = try Buffer(count: shape.parameterCount, category, for: purpose, ledger: ledger)
  }

  public func pointer(_ slice: TensorSlice) -> UnsafeMutablePointer<Float> {
    values.pointer + slice.offset
  }

  /// Uniform in ±1/√D (the readout ±1/√H), as is usual for LSTMs; forget gates start open (bias 1), the readout's bias at 0.
  public func initialize(seed: UInt64) {
    for (index, slice) in shape.tensors.enumerated() {
      let uniform = Philox(seed: seed, domain: .initialization, tensor: index)
      let values = pointer(slice)
      let fan = slice.tensor == .readout ? shape.hiddenSize : shape.headSize
      let scale = 1 / Float(fan).squareRoot()
      switch slice.tensor {
      case .readoutBias:
        values.update(repeating: 0, count: slice.count)
      case .bias:
        for i in 0..<slice.count { values[i] = i % 4 == 1 ? 1 : 0 }
      default:
        for block in 0..<(slice.count + 3) / 4 {
          let words = uniform.block(
            UInt32(truncatingIfNeeded: block), UInt32(truncatingIfNeeded: block >> 32))
          for lane in 0..<min(4, slice.count - 4 * block) {
            let unit = Float(words[lane] >> 8) * 0x1p-23 - 1
            values[4 * block + lane] = scale * unit
          }
        }
      }
    }
  }
}
