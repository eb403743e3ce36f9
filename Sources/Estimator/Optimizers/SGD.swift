import LongzooMemory
import LongzooModel

/// Gradient descent with momentum: v ← μ·v + g; θ ← (1 − ηλ)·θ − η·v.
struct SGD: UpdateRule {
  static let moments = 1

  private let configuration: Optimizer.Configuration
  private let instructions: Instructions

  init(
    _ shape: ModelShape, _ configuration: Optimizer.Configuration, instructions: Instructions,
    ledger: MemoryLedger
  ) {
    self.configuration = configuration
    self.instructions = instructions
  }

  func step(
    _ piece: UpdatePiece, gradient: UnsafePointer<Float>, parameters: UnsafeMutablePointer<Float>
  ) {
    instructions.sgd(
      count: piece.count, rate: piece.rate, momentum: configuration.momentum,
      decay: configuration.weightDecay, gradient: gradient, velocity: piece.first, parameters: parameters)
  }

  func lastStep(_ piece: UpdatePiece) -> (_ i: Int) -> Float {
    { piece.first[$0] }
  }
}
