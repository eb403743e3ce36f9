import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

@Suite("BPTT: memory")
struct BPTTMemoryTests {
  static let shape = ModelShape(vocabularySize: 256, hiddenSize: 128)

  private func bytes(
    _ tokens: Int, _ checkpointing: Checkpointing, streams: Int = 1, shape: ModelShape = shape
  ) -> MemoryTable {
    BPTT.byteCount(
      for: shape, .init(streams: streams, window: tokens, checkpointing: checkpointing), threads: 2)
  }

  @Test("byteCount is what the ledger is charged, and all of it is given back")
  func ledger() throws {
    let schedules: [Checkpointing] = [
      .none, .sqrt, .every(33), .binomial(checkpoints: 7), .within(bytes: 3_000_000),
    ]
    for shape in [Self.shape, ModelShape(vocabularySize: 37, hiddenSize: 21, layers: 3)] {
      for (streams, tokens) in [(1, 1), (1, 1000), (5, 250), (64, 64)] {
        for checkpointing in schedules {
          let c = BPTT.Configuration(streams: streams, window: tokens, checkpointing: checkpointing)
          let ledger = MemoryLedger()
          let expected = BPTT.byteCount(for: shape, c, threads: 2)
          let bptt = try? BPTT(shape, c, pool: try ThreadPool(threads: 2), ledger: ledger)
          if bptt != nil { #expect(ledger.snapshot().current == expected) }
          withExtendedLifetime(bptt) {}
        }
      }
    }
    let ledger = MemoryLedger()
    do {
      let c = BPTT.Configuration(streams: 2, window: 10)
      _ = try BPTT(Self.shape, c, pool: try ThreadPool(threads: 1), ledger: ledger)
    }
    #expect(ledger.snapshot().current.total == 0)
  }

  @Test("without checkpoints memory is linear in the window")
  func linear() {
    let sizes = [1_000, 10_000, 100_000, 1_000_000].map { bytes($0, .none)[.activations] }
    let slopes = zip(sizes, sizes.dropFirst()).enumerated().map { index, pair in
      Double(pair.1 - pair.0) / (9 * 1_000 * [1, 10, 100][index])
    }
    for slope in slopes { #expect(abs(slope / slopes[0] - 1) < 0.001) }
    // h, c and four gates of 128 units.
    #expect(abs(slopes[0] - 6 * 128 * 4) < 1)
  }

  @Test("with segments of √K tokens activations grow as √K")
  func root() {
    let sizes = [10_000, 1_000_000, 100_000_000].map { Double(bytes($0, .sqrt)[.activations]) }
    #expect(sizes[1] / sizes[0] < 10 && sizes[1] / sizes[0] > 5)
    #expect(abs(sizes[2] / sizes[1] - 10) < 0.5)
  }

  @Test("binomial checkpoints fit the budget, and use it", arguments: [1_000, 100_000, 10_000_000])
  func budget(tokens: Int) {
    for layers in 1...2 {
      let shape = ModelShape(vocabularySize: 256, hiddenSize: 128, layers: layers)
      let least = bytes(tokens, .binomial(checkpoints: 1), shape: shape).total
      for extra in [0, 1, 1023, 1024, 5_000, 100_000, 3_333_333, 100_000_000, 40_000_000_000] {
        let used = bytes(tokens, .within(bytes: least + extra), shape: shape).total
        #expect(used <= least + extra)
        let whole = bytes(tokens, .none, shape: shape).total
        let all = bytes(tokens, .binomial(checkpoints: .max), shape: shape).total
        if used != whole { #expect(used > least + extra - 2 * 1024 * layers || used == all) }
      }
    }
  }

  @Test("a budget that not even one saved state fits is refused with the bytes that are needed")
  func tooSmall() throws {
    let c = BPTT.Configuration(streams: 1, window: 1000, checkpointing: .within(bytes: 1000))
    let ledger = MemoryLedger()
    let error = #expect(throws: MemoryError.self) {
      _ = try BPTT(Self.shape, c, pool: try ThreadPool(threads: 1), ledger: ledger)
    }
    #expect("\(error!)".contains("1000 B"))
    #expect(ledger.snapshot().current.total == 0)
  }
}
