import CLongzooKernels

/// Counter-based random bits: Philox 4×32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
///
/// Every output is a pure function of (seed, domain, tensor, tile, lifetime, index), so that any thread, and any run that
/// is resumed, makes the same bits.
package struct Philox: Sendable {
  /// What the bits are for; different domains never share a counter.
  package enum Domain: UInt32, Sendable {
    case initialization = 1
    case directions = 2
    case tasks = 3
    case normals = 4
    case nodes = 5
  }

  private let key: (UInt32, UInt32)
  private let stream: UInt32
  private let tile: UInt32

  /// - Parameters:
  ///   - tensor: less than 2¹⁶.
  ///   - tile: less than 2³², and less than 2¹⁷ where there are epochs.
  ///   - epoch: the upper half of a number whose lower half is the `high` of a block, less than 2²⁸. It goes to bits of the counter
  ///     that are 0 otherwise: those above the tile, and then those above the domain.
  package init(seed: UInt64, domain: Domain, tensor: Int, tile: Int = 0, epoch: Int = 0) {
    key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    let upper = UInt32(truncatingIfNeeded: epoch)
    stream = domain.rawValue << 16 | UInt32(tensor) | (upper >> 15) << 19
    self.tile = UInt32(tile) | upper << 17
  }

  /// Four random words for a counter.
  @inline(__always)
  package func block(_ index: UInt32, _ high: UInt32) -> SIMD4<UInt32> {
    Self.rounds(counter: SIMD4(index, high, tile, stream), key: key)
  }

  /// What the kernels that draw many blocks at once are told: of block(0, high), block(1, high) …
  func counters(_ high: UInt32) -> lz_philox { lz_philox(key: key, counter: (high, tile, stream)) }

  /// What the kernels draw the normal entries of a tile's direction from: tensor 0's block(0, high), block(1, high) …
  package func writeName(_ high: UInt32, to words: UnsafeMutablePointer<UInt16>) {
    let name = (key.0, key.1, high, tile, stream)
    withUnsafeBytes(of: name) {
      UnsafeMutableRawPointer(words).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
    }
  }

  @inline(__always)
  static func rounds(counter: SIMD4<UInt32>, key: (UInt32, UInt32)) -> SIMD4<UInt32> {
    var c = counter
    var (k0, k1) = key
    for _ in 0..<10 {
      let first = UInt64(0xD251_1F53) * UInt64(c[0])
      let second = UInt64(0xCD9E_8D57) * UInt64(c[2])
      c = SIMD4(
        UInt32(truncatingIfNeeded: second >> 32) ^ c[1] ^ k0, UInt32(truncatingIfNeeded: second),
        UInt32(truncatingIfNeeded: first >> 32) ^ c[3] ^ k1, UInt32(truncatingIfNeeded: first))
      k0 = k0 &+ 0x9E37_79B9
      k1 = k1 &+ 0xBB67_AE85
    }
    return c
  }
}
