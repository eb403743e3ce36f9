import LongzooMemory
import Testing

@testable import LongzooTraining
@testable import longzoo

@Suite struct NGramBaselineTests {
  @Test func entropiesAreThoseOfTheCounts() throws {
    let ledger = MemoryLedger()
    let baseline = try NGramBaseline(vocabulary: 4, ledger: ledger)
    #expect(ledger.snapshot().current.total == NGramBaseline.byteCount(vocabulary: 4))
    ([0, 1, 2, 1, 2, 1, 1] as [UInt32]).withUnsafeBufferPointer { baseline.add($0) }
    // 1 four times and 2 twice; after 1 it is 2, 2, 1, after 0 and 2 always 1.
    #expect(abs(baseline.unigramBits! - 0.9183) < 1e-4)
    #expect(abs(baseline.bigramBits! - 3 * 0.9183 / 6) < 1e-4)
  }

  /// 30 GB of text have one letter 2³² times; a count that begins anew there makes the bits wrong.
  @Test func countsGoOnBeyond32Bits() throws {
    let baseline = try NGramBaseline(vocabulary: 2, ledger: MemoryLedger())
    baseline.add(token: 0, after: 0, times: 3 << 32)
    baseline.add(token: 1, after: 0, times: 1 << 32)
    #expect(abs(baseline.unigramBits! - 0.811278) < 1e-6)
    #expect(abs(baseline.bigramBits! - 0.811278) < 1e-6)
  }
}
