import LongzooMemory
import LongzooModel

/// Adam (Kingma and Ba, 2015), with its decay decoupled as in AdamW (Loshchilov and Hutter, 2019):
/// m ← β₁·m + (1 − β₁)·g; s ← β₂·s + (1 − β₂)·g²; θ ← (1 − ηλ)·θ − η·m̂/(√ŝ + 10⁻⁸), with the bias of the zero start taken
/// out of m̂ and ŝ.
struct Adam: UpdateRule {
  static let moments = 2

  private let beta1: Float
  private let beta2: Float
  private let decay: Float
  private let instructions: Instructions

  init(
    _ shape: ModelShape, _ configuration: Optimizer.Configuration, instructions: Instructions,
    ledger: MemoryLedger
  ) {
    beta1 = Float(configuration.momentum)
    beta2 = Float(configuration.beta2)
    decay = Float(configuration.weightDecay)
    self.instructions = instructions
  }

  func step(
    _ piece: UpdatePiece, gradient: UnsafePointer<Float>, parameters: UnsafeMutablePointer<Float>
  ) {
    let corrections = corrections(update: piece.update)
    instructions.adam(
      count: piece.count, rate: piece.rate, beta1: beta1, beta2: beta2,
      decay: decay, correction1: corrections.mean, correction2: corrections.square,
      gradient: gradient, mean: piece.first, square: piece.second, parameters: parameters)
  }

  func lastStep(_ piece: UpdatePiece) -> (_ i: Int) -> Float {
    let corrections = corrections(update: piece.update)
    return {
      piece.first[$0] * corrections.mean / ((piece.second[$0] * corrections.square).squareRoot() + 1e-8)
    }
  }

  /// What takes the zero start out of the moments after `update` updates.
  private func corrections(update: Int) -> (mean: Float, square: Float) {
    (
      Float(1 / (1 - power(Double(beta1), update))),
      Float(1 / (1 - power(Double(beta2), update)))
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
