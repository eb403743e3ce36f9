import Glibc
import LongzooMemory

/// The model's parameters, one vector of Float in the order of `ModelShape.tensors`.
public final class Parameters {
  /// The model's sizes.
  public let shape: ModelShape
  /// All of them, one tensor after the other.
  public let values: Buffer<Float>

  /// The bytes that `init` reserves.
  public static func byteCount(for shape: ModelShape) -> Int {
    valuesRoom(shape, .parameters, for: "the parameters").byteCount
  }

  private static func valuesRoom(
    _ shape: ModelShape, _ category: MemoryCategory, for purpose: String
  ) -> Room<Float> {
    Room(shape.parameterCount, category, for: purpose)
  }

  /// All zero.
  /// - Throws: `MemoryError`, if the ledger's budget or the system does not allow it.
  public init(
    _ shape: ModelShape, category: MemoryCategory = .parameters, for purpose: String = "the parameters",
    ledger: MemoryLedger
  ) throws(MemoryError) {
    self.shape = shape
    values = try Self.valuesRoom(shape, category, for: purpose).buffer(ledger)
  }

  /// A tensor's first element, for as long as the parameters are there.
  package func pointer(_ slice: TensorSlice) -> UnsafeMutablePointer<Float> {
    values.pointer + slice.offset
  }

  /// A copy of a tensor, row by row.
  /// - Precondition: the model has it.
  public func read(_ tensor: Tensor) -> [Float] {
    Array(values.elements[slice(tensor).range])
  }

  /// Replaces a tensor by values that lie row by row.
  /// - Precondition: the model has it, and there are as many values as elements.
  public func write(_ tensor: Tensor, _ source: Span<Float>) {
    let slice = slice(tensor)
    precondition(source.count == slice.count, "\(source.count) values for the \(slice.count) of \(tensor)")
    for index in 0..<source.count { values[slice.offset + index] = source[index] }
  }

  private func slice(_ tensor: Tensor) -> TensorSlice {
    precondition(
      shape.tensors.contains { $0.tensor == tensor }, "a model of \(shape.layers) layers has no \(tensor)")
    return shape.slice(tensor)
  }

  /// Fills all tensors with their initial weights.
  public func initialize(seed: UInt64, _ options: Initialization = Initialization()) {
    let initial = InitialWeights(shape, seed: seed, options)
    for (index, slice) in shape.tensors.enumerated() {
      initial.fill(tensor: index, from: 0, count: slice.count, into: pointer(slice), stride: 1)
    }
  }
}
