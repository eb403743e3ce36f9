import Testing

@testable import LongzooEstimator

@Suite("Revolve: the binomial schedule")
struct RevolveTests {
  /// Runs a schedule on a machine that only knows which step it stands at; returns the steps that were advanced.
  private func follow(steps: Int, slots: Int) -> Int {
    let positions = UnsafeMutablePointer<Int>.allocate(capacity: max(1, slots))
    defer { positions.deallocate() }
    var schedule = Revolve(steps: steps, slots: slots, positions: positions)
    var saved = [Int?](repeating: nil, count: max(1, slots))
    var (at, reversed, advanced) = (0, steps, 0)
    while let action = schedule.next() {
      switch action {
      case .save(let slot): saved[slot] = at
      case .restore(let slot): at = saved[slot]!
      case .advance(let range):
        #expect(range.lowerBound == at && !range.isEmpty)
        at = range.upperBound
        advanced += range.count
      case .reverse(let step):
        #expect(step == at && step == reversed - 1)
        reversed = step
        at = -1  // the tape ends behind the step: the state before it is gone
      }
    }
    #expect(reversed == 0)
    return advanced
  }

  /// t(l, s) = min over m of m + t(l − m, s − 1) + t(m, s), by trying everything.
  private func table(steps: Int, slots: Int) -> [[Int]] {
    var best = Array(repeating: Array(repeating: 0, count: steps + 1), count: slots + 1)
    for s in 1...slots {
      for l in stride(from: 2, through: steps, by: 1) {
        best[s][l] =
          s == 1
          ? l * (l - 1) / 2 : (1..<l).map { $0 + best[s - 1][l - $0] + best[s][$0] }.min()!
      }
    }
    return best
  }

  @Test("the steps taken again are those of the theory, and the fewest possible")
  func optimal() {
    let best = table(steps: 70, slots: 8)
    for slots in 1...8 {
      for steps in 1...70 {
        let taken = follow(steps: steps, slots: slots)
        #expect(taken == best[slots][steps], "\(steps) steps, \(slots) slots")
        #expect(taken == Revolve.advancedSteps(steps, slots: slots), "\(steps) steps, \(slots) slots")
      }
    }
  }

  @Test(
    "long chains",
    arguments: [(1000, 3), (5000, 12), (20_000, 141), (20_000, 19_999), (300, 1), (0, 1), (1, 0)])
  func long(steps: Int, slots: Int) {
    #expect(follow(steps: steps, slots: slots) == Revolve.advancedSteps(steps, slots: slots))
  }

  @Test("β(s, r) steps are reversed with s slots and r repetitions; β does not overflow")
  func most() {
    #expect(Revolve.mostSteps(slots: 3, repetitions: 2) == 10)
    #expect(Revolve.mostSteps(slots: 10, repetitions: 10) == 184_756)
    #expect(Revolve.mostSteps(slots: 1, repetitions: 7) == 8)
    #expect(Revolve.mostSteps(slots: 5, repetitions: 0) == 1)
    #expect(Revolve.mostSteps(slots: 5, repetitions: -1) == 0)
    #expect(Revolve.mostSteps(slots: 1000, repetitions: 1000) == .max)
  }
}
