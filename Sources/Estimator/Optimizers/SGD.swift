import LongzooMemory
import LongzooModel

/// Gradient descent with momentum: v ← μ·v + g; θ ← (1 − ηλ)·θ − η·v.
struct SGD: UpdateRule {
  static let moments = 1

  private let momentum: Float
  private let decay: Float
  private let instructions: Instructions

  init(
    _ shape: ModelShape, _ configuration: Optimizer.Configuration, instructions: Instructions,
    ledger: MemoryLedger
  ) {
    momentum = Float(configuration.momentum)
    decay = Float(configuration.weightDecay)
    self.instructions = instructions
  }

  func step(
    _ piece: UpdatePiece, gradient: UnsafePointer<Float>, parameters: UnsafeMutablePointer<Float>
  ) {
    instructions.sgd(
      count: piece.count, rate: piece.rate, momentum: momentum, decay: decay,
      gradient: gradient, velocity: piece.first, parameters: parameters)
  }

  func lastStep(_ piece: UpdatePiece) -> (_ i: Int) -> Float {
    { piece.first[$0] }
  }
}
