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

  /// The model's sizes.
  public var shape: ModelShape { weights.shape }

  /// The next token is read from a zero state.
  public func reset() { state.elements.update(repeating: 0) }

  /// Reads a block's inputs and predicts its targets; the state goes on from where it was.
  /// - Parameter tokens: of one stream, and of this model's vocabulary.
  /// - Returns: the sum of the losses in nats; marked targets have none.
  public func run(_ tokens: TokenBlock) -> Double { run(tokens, losses: nil, hits: nil) }

  /// Reads a block's inputs and predicts its targets; the state goes on from where it was.
  /// - Parameters:
  ///   - tokens: of one stream, and of this model's vocabulary.
  ///   - losses: becomes the loss of every target in nats, 0 for marked ones. At least `tokens.count` long.
  /// - Returns: the sum of the losses in nats.
  public func run(_ tokens: TokenBlock, losses: inout MutableSpan<Float>) -> Double {
    precondition(losses.count >= tokens.count, "\(losses.count) losses of \(tokens.count) targets")
    return losses.withUnsafeMutableBufferPointer { run(tokens, losses: $0.baseAddress, hits: nil) }
  }

  /// - Parameters:
  ///   - losses: room for `tokens.count` losses in nats, if each one is wanted; 0 for marked targets.
  ///   - hits: likewise for whether the target was the most probable id.
  package func run(
    _ tokens: TokenBlock, losses: UnsafeMutablePointer<Float>?, hits: UnsafeMutablePointer<UInt8>?
  ) -> Double {
    var total = 0.0
    guard tokens.count > 0 else { return 0 }
    withUnsafePointer(to: weights.layout.c) { layout in
      tokens.require(streams: 1, vocabularySize: weights.layout.shape.vocabularySize)
      lz_run_sequence(
        instructions.code, layout, weights.values.pointer, state.pointer, tokens.pointer,
        Int64(tokens.count), &total, losses, hits, scratch.pointer)
    }
    return total
  }
}
