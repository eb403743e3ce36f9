import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

@Suite("BPTT: results depend on nothing but model and data")
struct BPTTScheduleTests {
  static let schedules: [Checkpointing] = [
    .sqrt, .every(1), .every(40), .every(1000), .binomial(checkpoints: 1), .binomial(checkpoints: 2),
    .binomial(checkpoints: 3), .binomial(checkpoints: 100), .within(bytes: 1 << 40),
  ]

  @Test(
    "checkpointed gradients equal the full one bit for bit", arguments: [1, 15, 16, 17, 48, 97, 200, 333])
  func checkpointedIsFull(tokens: Int) throws {
    for layers in 1...2 {
      let model = try BPTTCase(vocabulary: 19, hidden: 18, layers: layers, streams: 3, tokens: tokens)
      let full = try model.estimator()
      let expected = model.window(full)
      for schedule in Self.schedules {
        let bptt = try model.estimator(schedule)
        #expect(model.window(bptt).loss == expected.loss, "\(schedule)")
        #expect(bptt.bits == full.bits, "\(schedule)")
        #expect(bptt.stateBits == full.stateBits, "\(schedule)")
      }
    }
  }

  @Test(
    "binomial checkpointing takes as many tokens again as the theory says", arguments: [1, 2, 3, 5, 12, 50])
  func recomputed(checkpoints: Int) throws {
    let model = try BPTTCase(vocabulary: 5, hidden: 4, streams: 1, tokens: 40 * BPTTPlan.blockTokens + 3)
    let bptt = try model.estimator(.binomial(checkpoints: checkpoints))
    _ = model.window(bptt)
    #expect(
      bptt.advancedTokens == BPTTPlan.blockTokens * Revolve.advancedSteps(41, slots: min(40, checkpoints)))
  }

  @Test("a second, shorter window from carried states is the same too", arguments: schedules.indices)
  func shortWindow(index: Int) throws {
    let model = try BPTTCase(vocabulary: 9, hidden: 12, streams: 2, tokens: 150)
    let full = try model.estimator(window: 100)
    let bptt = try model.estimator(window: 100, Self.schedules[index])
    for range in [0..<100, 100..<150] {
      #expect(model.window(full, range).loss == model.window(bptt, range).loss)
      #expect(full.bits == bptt.bits)
    }
    #expect(full.stateBits == bptt.stateBits)
  }

  @Test("a stream's states do not depend on its neighbours")
  func neighbours() throws {
    let model = try BPTTCase(vocabulary: 10, hidden: 20, streams: 13, tokens: 20)
    let all = try model.estimator()
    _ = model.window(all)
    let units = all.plan.topUnits
    for stream in [0, 5, 12] {
      let alone = try BPTT(
        model.shape, .init(streams: 1, window: 20), pool: try ThreadPool(threads: 1), ledger: MemoryLedger())
      alone.take(model.parameters)
      alone.beginWindow(0)
      alone.consume(model.rows[stream], stride: 21, count: 20)
      _ = alone.finishWindow(tokens: 20)
      for part in 0..<2 {
        for u in 0..<units {
          #expect(all.states[(part * 13 + stream) * units + u] == alone.states[part * units + u])
        }
      }
    }
  }

  @Test("a vocabulary whose logits come in several stretches gives the same gradient")
  func manySymbols() throws {
    let model = try BPTTCase(vocabulary: 40_000, hidden: 3, streams: 3, tokens: 18)
    let bptt = try model.estimator()
    #expect(bptt.plan.logitRows < bptt.plan.blockRows)
    var states = model.zeroStates
    let exact = model.exact(states: &states)
    #expect(abs(model.window(bptt).loss - exact.loss) < 1e-5)
    #expect(bptt.relativeError(exact.gradient) < 5e-6)
  }
}
