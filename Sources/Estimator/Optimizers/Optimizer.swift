import LongzooMemory
import LongzooModel

public enum OptimizerKind: String, CaseIterable, Codable, Sendable { case sgd, adam, muon }

/// Turns a gradient into a step.
///
/// - `sgd`: v ← μ·v + g; θ ← (1 − ηλ)·θ − η·v
/// - `adam` (Kingma and Ba, 2015; decay decoupled as in AdamW, Loshchilov and Hutter, 2019):
///   m ← β₁·m + (1 − β₁)·g; s ← β₂·s + (1 − β₂)·g²; θ ← (1 − ηλ)·θ − η·m̂/(√ŝ + 10⁻⁸), with the bias of the zero start
///   taken out of m̂ and ŝ.
/// - `muon` (Jordan et al., 2024): the layers' matrices W, one for each gate and head, move along the orthogonal part
///   U ≈ (AAᵀ)^−½A of their gradient's mean: m ← β₁·m + (1 − β₁)·g; A = β₁·m + (1 − β₁)·g; W ← (1 − ηλ)·W − η·U
///   (`Orthogonalizer`). Everything else is adam's.
///
/// η is the rate times `Configuration.tableRate` for the token table, and the rate for everything else.
public final class Optimizer {
  public struct Configuration: Codable, Equatable, Sendable {
    public var kind: OptimizerKind
    /// μ of sgd, β₁ of adam and muon.
    public var momentum: Float
    /// adam and muon.
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
  /// v of sgd, m of adam and muon.
  public let first: Buffer<Float>
  /// s of adam; muon's matrices have the U of the update that was made last there. Empty for sgd.
  public let second: Buffer<Float>
  /// Updates made so far.
  public var updates = 0
  let runs: ParameterRuns
  private let instructions: Instructions
  private let orthogonalizer: Orthogonalizer?

  public static func byteCount(for shape: ModelShape, _ c: Configuration) -> Int {
    let moments = Buffer<Float>.byteCount(for: shape.parameterCount)
    return switch c.kind {
    case .sgd: moments
    case .adam: 2 * moments
    case .muon: 2 * moments + Orthogonalizer.byteCount(for: GateMatrices.all(shape))
    }
  }

  public init(
    _ shape: ModelShape, _ configuration: Configuration, instructions: Instructions = .best,
    ledger: MemoryLedger
  ) throws(MemoryError) {
    self.configuration = configuration
    let parameters = shape.parameterCount
    runs = ParameterRuns(shape, configuration)
    self.instructions = instructions
    first = try Buffer(count: parameters, .optimizer, for: "the optimizer's first moment", ledger: ledger)
    second = try Buffer(
      count: configuration.kind == .sgd ? 0 : parameters, .optimizer, for: "the optimizer's second moment",
      ledger: ledger)
    orthogonalizer =
      configuration.kind == .muon
      ? try Orthogonalizer(GateMatrices.all(shape), instructions: instructions, ledger: ledger) : nil
  }

  /// One update at learning rate η.
  public func update(
    _ parameters: Parameters, gradient: borrowing Buffer<Float>, rate: Float, on pool: ThreadPool
  ) {
    updates += 1
    let gradient = gradient.pointer
    if let orthogonalizer { direct(orthogonalizer, gradient, on: pool) }
    let corrections = corrections
    pool.run(runs.pieces) { task, _ in
      let piece = runs.piece(task)
      step(
        piece, gradient + piece.start, parameters.values.pointer + piece.start, rate: rate * piece.rateFactor,
        corrections)
    }
  }

  /// Mean gradients of the matrices, and their orthogonal parts.
  private func direct(
    _ orthogonalizer: Orthogonalizer, _ gradient: UnsafePointer<Float>, on pool: ThreadPool
  ) {
    let (beta, means, ahead) = (configuration.momentum, first.pointer, second.pointer)
    pool.run(runs.pieces) { task, _ in
      let piece = runs.piece(task)
      guard piece.rule == .alongOrthogonalPart else { return }
      for i in piece.start..<piece.start + piece.count {
        means[i] = beta * means[i] + (1 - beta) * gradient[i]
        ahead[i] = beta * means[i] + (1 - beta) * gradient[i]
      }
    }
    orthogonalizer.orthogonalize(second.pointer, on: pool)
  }

  private func step(
    _ piece: ParameterRuns.Piece, _ gradient: UnsafePointer<Float>, _ parameters: UnsafeMutablePointer<Float>,
    rate: Float, _ corrections: (first: Float, second: Float)
  ) {
    let c = configuration
    switch piece.rule {
    case .momentum:
      instructions.sgd(
        count: piece.count, rate: rate, momentum: c.momentum, decay: c.weightDecay, gradient: gradient,
        velocity: first.pointer + piece.start, parameters: parameters)
    case .byRootOfSquares:
      instructions.adam(
        count: piece.count, rate: rate, beta1: c.momentum, beta2: c.beta2, decay: c.weightDecay,
        correction1: corrections.first, correction2: corrections.second, gradient: gradient,
        mean: first.pointer + piece.start, square: second.pointer + piece.start, parameters: parameters)
    case .alongOrthogonalPart:
      instructions.descend(
        count: piece.count, rate: rate, keep: 1 - rate * c.weightDecay,
        gradient: second.pointer + piece.start, weights: parameters)
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
