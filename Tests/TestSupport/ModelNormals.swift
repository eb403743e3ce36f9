import Foundation

/// Standard normal entries of a tile's direction as their definition reads, in Double: Philox 4×32-10, then Box and Muller.
struct ModelNormals {
  private let words: [UInt32]

  /// - Parameter name: ten words: key and counter, low halves first.
  init(name: UnsafePointer<UInt16>) {
    words = (0..<5).map { UInt32(name[2 * $0]) | UInt32(name[2 * $0 + 1]) << 16 }
  }

  /// - Parameter tensor: 0 for the table, then each layer's kernel and bias, the readout and its bias.
  func entry(_ entry: Int, lane: Int, tensor: Int) -> Double {
    let drawn = (0..<4).flatMap { philox(UInt32(4 * entry + $0), tensor) }
    let (a, b) = (drawn[lane % 8], drawn[8 + lane % 8])
    let radius = (-2 * log((Double(a >> 9) + 0.5) / 0x1p23)).squareRoot()
    let turn = Double(b >> 30) + (Double(b >> 7 & 0x7f_ffff) + 0.5) / 0x1p23 - 0.5
    return radius * (lane < 8 ? cos(turn * .pi / 2) : sin(turn * .pi / 2))
  }

  private func philox(_ index: UInt32, _ tensor: Int) -> [UInt32] {
    var c = [index, words[2], words[3], words[4] &+ UInt32(tensor)]
    var key = [words[0], words[1]]
    for _ in 0..<10 {
      let first = UInt64(0xD251_1F53) * UInt64(c[0])
      let second = UInt64(0xCD9E_8D57) * UInt64(c[2])
      c = [
        UInt32(second >> 32) ^ c[1] ^ key[0], UInt32(truncatingIfNeeded: second),
        UInt32(first >> 32) ^ c[3] ^ key[1], UInt32(truncatingIfNeeded: first),
      ]
      key = [key[0] &+ 0x9E37_79B9, key[1] &+ 0xBB67_AE85]
    }
    return c
  }
}
