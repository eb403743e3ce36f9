import Testing

@testable import LongzooModel

@Suite("Philox")
struct ModelPhiloxTests {
  /// The vectors of Random123's kat_vectors for philox4x32 10.
  @Test("It gives the published words")
  func knownAnswers() {
    let pi: SIMD4<UInt32> = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344]
    let all = UInt32.max
    #expect(
      Philox.rounds(counter: .zero, key: (0, 0)) == [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8])
    #expect(
      Philox.rounds(counter: SIMD4(repeating: all), key: (all, all))
        == [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd])
    #expect(
      Philox.rounds(counter: pi, key: (0xa409_3822, 0x299f_31d0))
        == [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1])
  }

  @Test("Streams of different domain, tensor, tile, lifetime and seed never share a block")
  func streams() {
    var blocks: Set<SIMD4<UInt32>> = []
    var count = 0
    for seed in [0, 1, 1 << 32, UInt64.max] {
      for domain in [Philox.Domain.initialization, .directions] {
        for tensor in [0, 1, 2, 70, 65535] {
          for tile in [0, 1, 2, 255, 65536] {
            let bits = Philox(seed: seed, domain: domain, tensor: tensor, tile: tile)
            for lifetime: UInt32 in [0, 1, 2, 1 << 20] {
              for index: UInt32 in 0..<3 {
                blocks.insert(bits.block(index, lifetime))
                count += 1
              }
            }
          }
        }
      }
    }
    // 4,800 blocks of 128 bits: a chance meeting has a probability of 10⁻³².
    #expect(blocks.count == count)
  }

  @Test("Every bit of the words is set half of the time")
  func balance() {
    let bits = Philox(seed: 9, domain: .directions, tensor: 3, tile: 5)
    let count = 4096
    var set = Array(repeating: 0, count: 128)
    for index in 0..<UInt32(count) {
      let words = bits.block(index, 7)
      for bit in 0..<128 { set[bit] += Int(words[bit / 32] >> UInt32(bit % 32) & 1) }
    }
    // Five standard deviations of a binomial: 5·√(n/4).
    #expect(set.allSatisfy { abs($0 - count / 2) <= 160 })
  }

  @Test("The kernels draw the words of its blocks, for any count", arguments: Instructions.fast)
  func kernels(_ instructions: Instructions) {
    let bits = Philox(seed: 0x1234_5678_9abc_def0, domain: .directions, tensor: 3, tile: 70_000)
    for (count, high) in [
      (1, UInt32(0)), (7, 1), (8, 2), (63, .max), (64, 9), (65, 9), (200, 5), (1_031, 77),
    ] {
      var words = [UInt16](repeating: 0xaaaa, count: count + 1)
      words.withUnsafeMutableBufferPointer {
        instructions.drawSigns(bits, high: high, count: count, into: $0.baseAddress!)
      }
      let expected: [UInt16] = (0..<count).map { i in
        let word: UInt32 = bits.block(UInt32(i / 8), high)[i % 8 / 2]
        return UInt16(truncatingIfNeeded: i % 2 == 0 ? word : word >> 16)
      }
      #expect(Array(words.prefix(count)) == expected, "\(count) words")
      #expect(words[count] == 0xaaaa, "\(count) words, and the one behind them")
    }
  }
}
