import CLongzooKernels
import LongzooMemory

/// One unperturbed model that reads a token sequence and carries its state: what evaluation uses.
public final class SequenceModel {
  private let weights: PackedWeights
  private let instructions: Instructions
  package let state: Buffer<Float>  // [L][h, c][units]
  private let scratch: Buffer<Float>

  public static func byteCount(for layout: Layout) -> Int {
    Buffer<Float>.byteCount(for: stateCount(layout))
      + Buffer<Float>.byteCount(for: withUnsafePointer(to: layout.c) { lz_sequence_scratch($0) })
  }

  package static func stateCount(_ layout: Layout) -> Int { layout.shape.layers * 2 * layout.c.units }

  public init(
    _ weights: PackedWeights, instructions: Instructions = .best, ledger: MemoryLedger
  ) throws(MemoryError) {
    self.weights = weights
    self.instructions = instructions
    let layout = weights.layout
    state = try Buffer(
      count: Self.stateCount(layout), .activations, for: "the evaluated state", ledger: ledger)
    scratch = try Buffer(
      count: withUnsafePointer(to: layout.c) { lz_sequence_scratch($0) }, .activations,
      for: "the evaluation's scratch", ledger: ledger)
  }

  public func reset() { state.elements.update(repeating: 0) }

  /// Reads tokens[0..<n−1] and predicts tokens[1..<n]; the state goes on from where it was.
  /// - Parameters:
  ///   - losses: room for n − 1 losses in nats, if each one is wanted; 0 for marked targets.
  ///   - hits: likewise for whether the target was the most probable id.
  /// - Returns: the sum of the losses in nats.
  public func run(
    _ tokens: UnsafeBufferPointer<UInt32>, losses: UnsafeMutablePointer<Float>? = nil,
    hits: UnsafeMutablePointer<UInt8>? = nil
  ) -> Double {
    var total = 0.0
    guard tokens.count > 1 else { return 0 }
    withUnsafePointer(to: weights.layout.c) { layout in
      lz_run_sequence(
        instructions.code, layout, weights.values.pointer, state.pointer, tokens.baseAddress,
        Int64(tokens.count - 1), &total, losses, hits, scratch.pointer)
    }
    return total
  }
}
