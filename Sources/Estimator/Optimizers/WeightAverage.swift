import LongzooMemory
import LongzooModel

/// A running mean of the weights over about the last tenth of all updates: polynomial-decay averaging (Shamir and Zhang,
/// 2013), θ̄ ← θ̄ + (γ + 1)/(t + γ)·(θ − θ̄).
///
/// It takes the noise of a constant learning rate out of the model without knowing when the run will end, which no decay
/// of the learning rate can do for a stream.
public final class WeightAverage {
  /// θ̄; zeros before the first update.
  public let mean: Parameters
  /// γ: the mean reaches back over about t/(γ + 1) updates.
  private static let degree = 9.0
  private static let piece = 16384
  /// After so many updates only every `stride`th is taken; the first ones then count as if they had been so as well.
  static let everyUpdateUntil = 80
  static let stride = 8

  /// The bytes that `init` reserves.
  public static func byteCount(for shape: ModelShape) -> Int {
    Parameters.byteCount(for: shape)
  }

  /// The number of the sample (1 …) that an update gives; nil if it gives none.
  static func sample(ofUpdate update: Int) -> Int? {
    if update <= everyUpdateUntil { return update }
    let later = update - everyUpdateUntil
    return later % stride == 0 ? everyUpdateUntil / stride + later / stride : nil
  }

  /// - Throws: `MemoryError`, if the ledger's budget or the system does not allow it.
  public init(_ shape: ModelShape, ledger: MemoryLedger) throws(MemoryError) {
    mean = try Parameters(shape, category: .optimizer, for: "the averaged weights", ledger: ledger)
  }

  /// Takes in the weights after update number `update` (1 …): all of the first ones, then every eighth. Neighbouring
  /// updates have almost the same weights, and a mean over an eighth of them costs an eighth.
  public func add(_ parameters: Parameters, update: Int, on pool: ThreadPool) {
    guard let sample = Self.sample(ofUpdate: update) else { return }
    let share = Float(min(1, (Self.degree + 1) / (Double(sample) + Self.degree)))
    let total = parameters.values.count
    pool.run((total + Self.piece - 1) / Self.piece) { task, _ in
      let from = parameters.values.pointer
      let to = mean.values.pointer
      for i in task * Self.piece..<min(total, (task + 1) * Self.piece) { to[i] += share * (from[i] - to[i]) }
    }
  }
}
