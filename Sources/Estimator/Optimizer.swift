import Memory
import Model

public enum OptimizerKind: String, CaseIterable, Codable, Sendable { case sgd, adam }

/// Turns a gradient into a step.
///
/// - `sgd`: v ← μ·v + g; θ ← (1 − ηλ)·θ − η·v
/// - `adam` (Kingma and Ba, 2015; decay decoupled as in AdamW, Loshchilov and Hutter, 2019):
///   m ← β₁·m + (1 − β₁)·g; s ← β₂·s + (1 − β₂)·g²; θ ← (1 − ηλ)·θ − η·m̂/(√ŝ + 10⁻⁸), with the bias of the zero start
///   taken out of m̂ and ŝ.
///
/// η is the rate times `Configuration.tableRate` for the token table, and the rate for everything else.
public final class Optimizer {
  public struct Configuration: Codable, Equatable, Sendable {
    public var kind: OptimizerKind
    /// μ of sgd, β₁ of adam.
    public var momentum: Float
    /// adam only.
    public var beta2: Float
    /// λ
    public var weightDecay: Float
    /// The token table's rate in parts of that of the others. A row learns only where its token is read.
    public var tableRate: Float

    public init(
      kind: OptimizerKind, momentum: Float = 0.9, beta2: Float = 0.999, weightDecay: Float = 0,
      tableRate: Float = 1
    ) {
      self.kind = kind
      self.momentum = momentum
      self.beta2 = beta2
      self.weightDecay = weightDecay
      self.tableRate = tableRate
    }
  }

  public let configuration: Configuration
  /// v of sgd, m of adam.
  public let first: Buffer<Float>
  /// s of adam; empty for sgd.
  public let second: Buffer<Float>
  /// Updates made so far.
  public var updates = 0
  private let instructions: Instructions

  /// Parameters of the token table, which come first; where it does not end with a vector, the end of the last row goes with
  /// what follows.
  let tableCount: Int

  /// Parameters that one task updates; whole vectors, so that only the last piece ends in padding.
  private static let piece = 16384

  public static func byteCount(for parameters: Int, _ c: Configuration) -> Int {
    Buffer<Float>.byteCount(for: parameters) + Buffer<Float>.byteCount(for: c.kind == .adam ? parameters : 0)
  }

  public init(
    _ shape: ModelShape, _ configuration: Configuration, instructions: Instructions = .best,
    ledger: MemoryLedger
  ) throws(MemoryError) {
    self.configuration = configuration
    let parameters = shape.parameterCount
    tableCount = shape.slice(.table).count / Tile.pairs * Tile.pairs
    self.instructions = instructions
    first = try Buffer(count: parameters, .optimizer, for: "the optimizer's first moment", ledger: ledger)
    second = try Buffer(
      count: configuration.kind == .adam ? parameters : 0, .optimizer, for: "the optimizer's second moment",
      ledger: ledger)
  }

  /// One update at learning rate η.
  public func update(
    _ parameters: Parameters, gradient: borrowing Buffer<Float>, rate: Float, on pool: ThreadPool
  ) {
    updates += 1
    let c = configuration
    let (correction1, correction2) = corrections
    let total = gradient.count
    let gradient = gradient.pointer
    let tablePieces = (tableCount + Self.piece - 1) / Self.piece
    let pieces = tablePieces + (total - tableCount + Self.piece - 1) / Self.piece
    pool.run(pieces) { task, _ in
      let isTable = task < tablePieces
      let start = isTable ? task * Self.piece : tableCount + (task - tablePieces) * Self.piece
      let count = min(Self.piece, (isTable ? tableCount : total) - start)
      let rate = isTable ? rate * c.tableRate : rate
      switch c.kind {
      case .sgd:
        instructions.sgd(
          count: count, rate: rate, momentum: c.momentum, decay: c.weightDecay, gradient: gradient + start,
          velocity: first.pointer + start, parameters: parameters.values.pointer + start)
      case .adam:
        instructions.adam(
          count: count, rate: rate, beta1: c.momentum, beta2: c.beta2, decay: c.weightDecay,
          correction1: correction1, correction2: correction2, gradient: gradient + start,
          mean: first.pointer + start, square: second.pointer + start,
          parameters: parameters.values.pointer + start)
      }
    }
  }

  /// What takes the zero start out of the moments behind `updates` updates.
  var corrections: (first: Float, second: Float) {
    (
      Float(1 / (1 - power(Double(configuration.momentum), updates))),
      Float(1 / (1 - power(Double(configuration.beta2), updates)))
    )
  }

  /// base^exponent by squaring: the same bits everywhere.
  private func power(_ base: Double, _ exponent: Int) -> Double {
    var (result, factor, rest) = (1.0, base, exponent)
    while rest > 0 {
      if rest & 1 == 1 { result *= factor }
      factor *= factor
      rest >>= 1
    }
    return result
  }
}
