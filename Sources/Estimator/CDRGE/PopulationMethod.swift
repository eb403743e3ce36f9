import LongzooMemory
import LongzooModel

/// What the pairs of a population estimate, and when they take new directions. z is a direction, L the window's loss.
public enum PopulationMethod: CaseIterable, Sendable {
  /// cd-rge: [(L₊ − L₋)/2ε]·z; the direction is kept for a lifetime, then the pair starts again from the
  /// clean state (arXiv 2505.17852).
  case central
  /// jvp: (∇L·z)·z by a forward-mode tangent that is carried next to the state; no ε (Baydin et al., 2022,
  /// arXiv 2202.08587). A lifetime ends by setting the tangent to zero: the state itself is clean.
  case tangent
  /// nres: [(L₊ − L₋)/2ε]·z with a direction for all windows of an unroll, from reset to reset (arXiv 2304.12180).
  case unroll
  /// pes: [(L₊ − L₋)/2ε]·ξ with a new direction every window and ξ their sum since the reset, while the ± states run on
  /// (arXiv 2112.13835).
  case persistent

  var mode: PopulationMode { self == .tangent ? .tangent : .central }
  /// Whether all pairs begin together, with a context.
  public var isUnrolled: Bool { self == .unroll || self == .persistent }

  /// The derivative of the mean loss of a token along a pair's direction.
  func slope(_ loss: (plus: Double, minus: Double), epsilon: Float, tokens: Double) -> Double {
    self == .tangent ? loss.minus / tokens : (loss.plus - loss.minus) / (2 * Double(epsilon) * tokens)
  }

  /// The mean of the unperturbed model's losses, or what stands for it.
  func loss(_ loss: (plus: Double, minus: Double)) -> Double {
    self == .tangent ? loss.plus : 0.5 * (loss.plus + loss.minus)
  }
}

/// The window with which the running unroll began; it goes into checkpoints, since a context need not be a whole number of
/// windows.
final class UnrollStart {
  /// [1 while an unroll runs, and four words of the window's number].
  let words: Buffer<UInt16>

  static let wordsRoom = Room<UInt16>(5, .perturbations, for: "the start of the unroll")

  init(ledger: MemoryLedger) throws(MemoryError) {
    words = try Self.wordsRoom.buffer(ledger)
  }

  var window: Int { (0..<4).reduce(0) { $0 | Int(words[1 + $1]) << (16 * $1) } }

  /// Begins an unroll with a window if none runs; true if it did.
  func begin(_ window: Int) -> Bool {
    guard words[0] == 0 else { return false }
    words[0] = 1
    for word in 0..<4 { words[1 + word] = UInt16(truncatingIfNeeded: window >> (16 * word)) }
    return true
  }

  func end() { words[0] = 0 }
}
