import CLongzooKernels
import LongzooMemory

/// One unperturbed model that reads a token sequence and carries its state: what evaluation uses.
public final class SequenceModel {
  private let weights: PackedWeights
  private let instructions: Instructions
  package let state: Buffer<Float>  // of every stage [S][padded units]
  private let scratch: Buffer<Float>

  /// The bytes that `init` reserves, without the weights.
  public static func byteCount(for layout: Layout) -> Int {
    Rooms(layout).table.total
  }

  private struct Rooms {
    let state: Room<Float>
    let scratch: Room<Float>
    let table: MemoryTable

    init(_ layout: Layout) {
      var table = MemoryTable()
      state = table.add(stateCount(layout), .activations, for: "the evaluated state")
      scratch = table.add(
        lz_sequence_scratch(layout.c), .activations,
        for: "the evaluation's scratch")
      self.table = table
    }
  }

  package static func stateCount(_ layout: Layout) -> Int {
    layout.stateFloats / Tile.columns
  }

  /// Begins with a zero state; the weights may change between two blocks.
  /// - Throws: `MemoryError`, if the ledger's budget or the system does not allow it.
  public init(
    _ weights: PackedWeights, instructions: Instructions = .best, ledger: MemoryLedger
  ) throws(MemoryError) {
    self.weights = weights
    self.instructions = instructions
    let rooms = Rooms(weights.layout)
    state = try rooms.state.buffer(ledger)
    scratch = try rooms.scratch.buffer(ledger)
    reset()
  }

  /// The model's sizes.
  public var shape: ModelShape { weights.shape }

  /// The next token is read from a fresh state.
  public func reset() { weights.layout.freshen(state.pointer, columns: 1) }

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
    tokens.require(streams: 1, vocabularySize: weights.layout.shape.vocabularySize)
    var plain = weights.plain
    lz_run_sequence(
      instructions.code, weights.layout.c, weights.values.pointer, &plain, state.pointer, tokens.pointer,
      Int64(tokens.count), &total, losses, hits, scratch.pointer)
    return total
  }
}
