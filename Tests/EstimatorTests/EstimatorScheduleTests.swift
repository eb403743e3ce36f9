import LongzooEstimator
import Testing

@Suite("Schedules")
struct EstimatorScheduleTests {
  @Test("Rates at the start, on the way and at the end")
  func shape() {
    let expected: [(ScheduleKind, [(Double, Double)])] = [
      (.constant, [(0, 2), (0.25, 2), (0.5, 2), (1, 2), (1.5, 2), (-1, 2)]),
      (.linear, [(0, 2), (0.25, 1.5), (0.5, 1), (1, 0), (1.5, 0), (-1, 2)]),
      // (1 + cos πp)/2
      (.cosine, [(0, 2), (0.25, 1 + 0.5.squareRoot()), (0.5, 1), (2 / 3, 0.5), (1, 0), (1.5, 0), (-1, 2)]),
    ]
    #expect(expected.count == ScheduleKind.allCases.count)
    for (kind, points) in expected {
      for (progress, rate) in points {
        let actual = Schedule.rate(kind, base: 2, progress: progress, step: 1000, warmup: 10)
        #expect(abs(actual - rate) < 1e-12, "\(kind) at \(progress)")
      }
    }
  }

  @Test("Over the warmup the rate rises linearly to its full height", arguments: ScheduleKind.allCases)
  func warmup(_ kind: ScheduleKind) {
    func rate(_ step: Int, _ warmup: Int, _ progress: Double = 0) -> Double {
      Schedule.rate(kind, base: 3, progress: progress, step: step, warmup: warmup)
    }
    for step in 0..<4 { #expect(abs(rate(step, 4) - 3 * Double(step + 1) / 4) < 1e-12) }
    #expect(rate(4, 4) == 3 && rate(1000, 4) == 3 && rate(0, 0) == 3)
    let full = Schedule.rate(kind, base: 3, progress: 0.5, step: 4, warmup: 4)
    #expect(abs(rate(1, 4, 0.5) - full / 2) < 1e-12)
  }

  @Test("No schedule ever rises again", arguments: ScheduleKind.allCases)
  func monotone(_ kind: ScheduleKind) {
    let rates = (0...100).map {
      Schedule.rate(kind, base: 1, progress: Double($0) / 100, step: $0, warmup: 0)
    }
    #expect(zip(rates, rates.dropFirst()).allSatisfy { $0 >= $1 && $1 >= 0 })
  }
}
