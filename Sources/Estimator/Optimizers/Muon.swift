import LongzooMemory
import LongzooModel

/// Muon (Jordan et al., 2024): the layers' matrices W, one for each gate and head, move along the orthogonal part
/// U ≈ (AAᵀ)^−½A of their gradient's mean: m ← β₁·m + (1 − β₁)·g; A = β₁·m + (1 − β₁)·g; W ← (1 − ηλ)·W − η·U
/// (`Orthogonalizer`). Everything else is stepped by `Adam`.
struct Muon: UpdateRule {
  /// The matrices' second one has the U of the update that was made last.
  static let moments = 2

  private let beta: Float
  private let decay: Float
  private let instructions: Instructions
  private let orthogonalizer: Orthogonalizer
  private let others: Adam

  static func isApart(_ tensor: Tensor) -> Bool { if case .kernel = tensor { true } else { false } }

  static func byteCount(for shape: ModelShape) -> Int {
    Orthogonalizer.byteCount(for: GateMatrices.all(shape))
  }

  init(
    _ shape: ModelShape, _ configuration: Optimizer.Configuration, instructions: Instructions,
    ledger: MemoryLedger
  ) throws(MemoryError) {
    beta = Float(configuration.momentum)
    decay = Float(configuration.weightDecay)
    self.instructions = instructions
    orthogonalizer = try Orthogonalizer(
      GateMatrices.all(shape), instructions: instructions, ledger: ledger)
    others = Adam(shape, configuration, instructions: instructions, ledger: ledger)
  }

  /// Mean gradients of the matrices, and their orthogonal parts.
  func prepare(_ pieces: UpdatePieces, gradient: UnsafePointer<Float>, on pool: ThreadPool) {
    let (beta, means, ahead) = (beta, pieces.first, pieces.second)
    pool.run(pieces.count) { task, _ in
      let piece = pieces[task]
      guard piece.isApart else { return }
      for i in piece.start..<piece.start + piece.count {
        means[i] = beta * means[i] + (1 - beta) * gradient[i]
        ahead[i] = beta * means[i] + (1 - beta) * gradient[i]
      }
    }
    orthogonalizer.orthogonalize(ahead, on: pool)
  }

  func step(
    _ piece: UpdatePiece, gradient: UnsafePointer<Float>, parameters: UnsafeMutablePointer<Float>
  ) {
    guard piece.isApart else { return others.step(piece, gradient: gradient, parameters: parameters) }
    instructions.descend(
      count: piece.count, rate: piece.rate, keep: 1 - piece.rate * decay,
      gradient: piece.second, weights: parameters)
  }

  func lastStep(_ piece: UpdatePiece) -> (_ i: Int) -> Float {
    piece.isApart ? { piece.second[$0] } : others.lastStep(piece)
  }
}
