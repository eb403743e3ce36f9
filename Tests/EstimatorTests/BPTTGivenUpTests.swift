import LongzooMemory
import LongzooModel
import Testing

@testable import LongzooEstimator

/// A window's way back can be watched, and given up.
@Suite("BPTT: giving a window up")
struct BPTTGivenUpTests {
  static let schedules: [Checkpointing] = [.none, .sqrt, .every(32), .binomial(checkpoints: 2)]

  @Test("watching changes no bit, and the work is told from 0 to nearly 1", arguments: schedules)
  func watching(_ schedule: Checkpointing) throws {
    let model = try BPTTCase(vocabulary: 7, hidden: 6, layers: 2, streams: 3, tokens: 150)
    let plain = try model.estimator(schedule)
    let watched = try model.estimator(schedule)
    var parts: [Double] = []
    watched.isGivenUp = { part in
      parts.append(part)
      return false
    }
    let (first, second) = (model.window(plain), model.window(watched))
    #expect(first.loss == second.loss && plain.bits == watched.bits && plain.stateBits == watched.stateBits)
    #expect(parts.count > 9 && parts.first == 0 && zip(parts, parts.dropFirst()).allSatisfy { $0 <= $1 })
    #expect((0.85..<1).contains(try #require(parts.last)))
  }

  @Test("once given up nothing more is done, and the result is refused", arguments: schedules)
  func givingUp(_ schedule: Checkpointing) throws {
    let model = try BPTTCase(vocabulary: 7, hidden: 6, streams: 2, tokens: 150)
    for asked in [1, 2, 5] {
      let bptt = try model.estimator(schedule)
      var questions = 0
      bptt.isGivenUp = { _ in
        questions += 1
        return questions == asked
      }
      let result = model.window(bptt)
      #expect(questions == asked && !result.hasGradient && result.refusal != nil)
      // The next window is watched anew.
      bptt.beginContext()
      bptt.isGivenUp = { _ in false }
      #expect(model.window(bptt).hasGradient)
    }
  }
}
