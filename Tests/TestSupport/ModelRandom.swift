/// Reproducible numbers for tests (SplitMix64, Steele et al. 2014); not the library's generator.
public struct ModelRandom: Sendable {
  private var state: UInt64

  public init(_ seed: UInt64) { state = seed }

  public mutating func word() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  /// Below `bound`.
  public mutating func below(_ bound: Int) -> Int { Int(word() >> 11) % bound }

  public mutating func within(_ range: ClosedRange<Int>) -> Int { range.lowerBound + below(range.count) }

  /// Uniform in ±1.
  public mutating func unit() -> Double { Double(word() >> 11) * 0x1p-52 - 1 }

  public mutating func tokens(_ count: Int, vocabulary: Int) -> [UInt32] {
    (0..<count).map { _ in UInt32(below(vocabulary)) }
  }
}
