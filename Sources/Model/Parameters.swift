import Glibc
import LongzooMemory

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

  /// Fills all tensors with their initial weights.
  public func initialize(seed: UInt64, _ options: Initialization = Initialization()) {
    let initial = InitialWeights(shape, seed: seed, options)
    for (index, slice) in shape.tensors.enumerated() {
      initial.fill(tensor: index, from: 0, count: slice.count, into: pointer(slice), stride: 1)
    }
  }
}
