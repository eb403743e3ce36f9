import CLongzooKernels

/// The kind of random direction along which a pair is moved. Every entry has the variance 1, and no two are correlated.
public enum DirectionKind: Hashable, Sendable {
  /// Z = Σ a·bᵀ/√r over r products of signs a and b for each matrix: 2r vectors of bits a matrix and pair. Vectors have a sign for
  /// every entry.
  case products(Int)
  /// An independent sign for every weight: one bit a weight and pair.
  case rademacher
  /// An independent standard normal entry for every parameter, drawn where it is used and never kept.
  case gaussian

  /// Z = a·bᵀ
  public static let rank1 = DirectionKind.products(1)
  /// The most products of a sum.
  public static let mostProducts = Int(LZ_MAX_RANK)

  /// Products in the direction of a matrix; 1 where it is none.
  package var rank: Int { if case .products(let rank) = self { rank } else { 1 } }

  /// Whether ‖z‖² is the number of entries, whatever the draw.
  package var hasFixedLength: Bool { self == .rank1 || self == .rademacher }

  /// What E[(gᵀz)²·‖z‖²] is above ‖g‖²·d, in parts of ‖g‖²: 0 where the length is fixed.
  ///
  /// The entries of a sum of r products are products of signs whose cross terms meet those of ‖Z‖² in r(r − 1)/2 places,
  /// each of which adds 4/r². (A gradient's part in vectors, whose entries are signs, is left out: a few in a thousand of at most 2 in d.) Of normal
  /// entries it is E[x⁴] − 1 = 2.
  public var lengthExcess: Double { self == .gaussian ? 2 : 2 - 2 / Double(rank) }

  /// The cosine with the gradient of d parameters that an estimate from n directions has where the loss is linear:
  /// √(n/(n + d − 1 + excess)).
  public func predictedCosine(pairs n: Double, parameters d: Double) -> Double {
    (n / max(n, n + d - 1 + lengthExcess)).squareRoot()
  }
}

extension DirectionKind: CustomStringConvertible {
  /// As options and tables say it.
  public var description: String {
    switch self {
    case .products(1): "rank1"
    case .products(let rank): "rank\(rank)"
    case .rademacher: "rademacher"
    case .gaussian: "gaussian"
    }
  }
}
