import Testing

@testable import LongzooTraining
@testable import longzoo

/// Axes of any numbers have ticks that can be read, inside of their range.
@Suite struct ReportAxisTests {
  private static let values: [[Double]] = [
    [], [0], [5], [5, 5, 5], [-3], [0, 0], [1e-300], [1e300, -1e300], [1e18, 2e18], [3.1, 3.1000001],
    [0, 1e-12],
    [1, 2, 3], [999, 1001], [0.5, 8.2], [-1, 1], [.nan, 2, .infinity, 4], [.nan], [-.infinity],
    [1e9, 1e9 + 1],
    [.leastNonzeroMagnitude], [.greatestFiniteMagnitude], [37_511_168, 37_511_169], [59, 61],
    [0, 86_400 * 12],
  ]

  @Test(arguments: [Axis.Scale.linear, .logarithmic], [Quantity.plain, .count, .bytes, .seconds])
  func ticksAreFewFiniteAndInside(scale: Axis.Scale, quantity: Quantity) {
    for values in Self.values {
      for (fromZero, isTight) in [(false, false), (true, false), (false, true), (true, true)] {
        let axis = Axis(values, scale: scale, quantity: quantity, fromZero: fromZero, isTight: isTight)
        let what = "\(values) \(axis)"
        #expect(axis.lower.isFinite && axis.upper.isFinite && axis.lower < axis.upper, "\(what)")
        #expect((1...16).contains(axis.ticks.count), "\(what)")
        #expect(axis.ticks.allSatisfy { $0.isFinite }, "\(what)")
        #expect(zip(axis.ticks, axis.ticks.dropFirst()).allSatisfy { $0 < $1 }, "\(what)")
        let labels = axis.ticks.map(axis.label)
        #expect(
          Set(labels).count == labels.count || axis.upper - axis.lower < axis.upper * 1e-5,
          "\(labels) \(what)")
        #expect(labels.allSatisfy { !$0.isEmpty && $0.count < 20 }, "\(labels)")
        for value in values + axis.ticks where Axis.isUsable(value, scale) {
          #expect((-1e-9...1 + 1e-9).contains(axis.position(of: value)), "\(value) in \(what)")
        }
      }
    }
  }

  @Test func ticksAreRound() {
    func labels(_ values: [Double], _ scale: Axis.Scale = .linear, _ quantity: Quantity = .plain) -> [String]
    {
      let axis = Axis(values, scale: scale, quantity: quantity)
      return axis.ticks.map(axis.label)
    }
    #expect(labels([0, 10]) == ["0", "2", "4", "6", "8", "10"])
    #expect(labels([0, 0x28p20], .linear, .bytes) == ["0", "10 MiB", "20 MiB", "30 MiB", "40 MiB"])
    #expect(labels([0, 120_000], .linear, .count) == ["0", "20k", "40k", "60k", "80k", "100k", "120k"])
    #expect(labels([1e3, 1e6], .logarithmic, .count) == ["1k", "10k", "100k", "1M"])
    #expect(labels([1000, 10_000], .logarithmic, .count) == ["1k", "2k", "5k", "10k"])
    #expect(
      labels([0x1p20, 0x1p30], .logarithmic, .bytes) == [
        "1 MiB", "4 MiB", "16 MiB", "64 MiB", "256 MiB", "1 GiB",
      ])
    #expect(labels([0, 300], .linear, .seconds).last == "5 min")
  }

  @Test func aFlatLineStandsInside() {
    let axis = Axis([3_686_400, 3_686_400], scale: .logarithmic, quantity: .bytes)
    #expect((0.2...0.8).contains(axis.position(of: 3_686_400)))
  }

  @Test func numbersReadWell() {
    #expect(Quantity.bytes.text(12_950_000) == "12.35 MiB")
    #expect(Quantity.bytes.text(0) == "0 B")
    #expect(Quantity.count.text(1_234_567) == "1,234,567")
    #expect(Quantity.seconds.text(0.00068) == "680 µs")
    #expect(Quantity.seconds.text(90) == "90 s")
    #expect(Quantity.plain.text(.nan) == "–")
    #expect(Quantity.count.short(0) == "0")
  }

  @Test func fewerPointsKeepTheSpikes() {
    var points = (0..<100_000).map { PlotPoint(x: Double($0), y: 1) }
    points[31_415].y = 50
    points[77_777].y = -50
    let few = Downsampling.extremes(points, to: 300)
    #expect(few.count <= 300)
    #expect(few.first?.x == 0 && few.last?.x == 99_999)
    #expect(few.contains { $0.y == 50 } && few.contains { $0.y == -50 })
    #expect(zip(few, few.dropFirst()).allSatisfy { $0.x < $1.x })
    #expect(Downsampling.extremes(Array(points[..<3]), to: 300).count == 3)
    #expect(Downsampling.extremes([], to: 300).isEmpty)
  }
}
