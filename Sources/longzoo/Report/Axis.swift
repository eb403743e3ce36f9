import Foundation
import LongzooTraining

/// A range of numbers, laid out from 0 to 1, with ticks at round values.
///
/// Any values will do: what is not finite (or not positive, on a logarithmic axis) is left out, and a range of no width is
/// widened.
struct Axis {
  enum Scale { case linear, logarithmic }

  let scale: Scale
  let quantity: Quantity
  let lower: Double
  let upper: Double
  let ticks: [Double]
  /// Between ticks, on a linear axis.
  private let step: Double

  /// - Parameters:
  ///   - fromZero: the axis begins at zero, so that lengths can be compared.
  ///   - isTight: it ends at the last value and not at the next tick.
  init(
    _ values: [Double], scale: Scale = .linear, quantity: Quantity, fromZero: Bool = false,
    isTight: Bool = false, ticks target: Int = 6
  ) {
    self.scale = scale
    self.quantity = quantity
    let usable = values.filter { Self.isUsable($0, scale) }.map { min(max($0, -1e290), 1e290) }
    let range = usable.isEmpty ? nil : (lower: usable.min()!, upper: usable.max()!)
    switch scale {
    case .linear:
      var (low, high) = Self.widened(range ?? (0, 1), fromZero: fromZero)
      let unit = quantity.unit(for: max(abs(low), abs(high))).size
      let step = Self.round((high - low) / unit / Double(max(target, 2))) * unit
      self.step = step
      let first = (low / step).rounded(isTight ? .up : .down)
      let last = (high / step).rounded(isTight ? .down : .up)
      ticks = (0...Int(max(last - first, 0))).map { (first + Double($0)) * step + 0 }
      if !isTight { (low, high) = (first * step, last * step) }
      (lower, upper) = (low, high)
    case .logarithmic:
      step = 0
      let base: Double = quantity == .bytes ? 2 : 10
      let exponents = Self.exponents(range ?? (1, 10), base: base, target: target)
      lower = pow(base, exponents.first!)
      upper = pow(base, exponents.last!)
      var ticks = exponents.map { pow(base, $0) }
      // A decade or two by themselves are too few marks to read by.
      if base == 10, exponents.count <= 3 {
        ticks = ticks.dropLast().flatMap { decade in [1, 2, 5].map { $0 * decade } } + [ticks.last!]
      }
      self.ticks = ticks
    }
  }

  static func isUsable(_ value: Double, _ scale: Scale) -> Bool {
    value.isFinite && (scale == .linear || value > 1e-290)
  }

  /// 0 at the lower end, 1 at the upper one.
  func position(of value: Double) -> Double {
    let value = min(max(value, lower), upper)
    switch scale {
    case .linear: return (value - lower) / (upper - lower)
    case .logarithmic: return log(value / lower) / log(upper / lower)
    }
  }

  /// What stands beside a tick; all of a linear axis in one unit, with as many digits as tell them apart.
  func label(_ tick: Double) -> String {
    guard scale == .linear else { return quantity.short(tick) }
    let unit = quantity.unit(for: max(abs(lower), abs(upper)))
    let (value, width) = (tick / unit.size, step / unit.size)
    if value == 0 { return "0" }
    guard abs(value) < 1e6, width > 1e-5 else { return Quantity.significant(value, 4) + unit.name }
    let digits = max(0, Int((-log10(width) - 1e-9).rounded(.up)))
    return String(format: "%.\(digits)f", value) + unit.name
  }

  private static func widened(_ range: (lower: Double, upper: Double), fromZero: Bool) -> (Double, Double) {
    var (low, high) = (range.lower, range.upper)
    if fromZero { (low, high) = (min(low, 0), max(high, 0)) }
    let size = max(abs(low), abs(high))
    if size < 1e-250 { return (0, 1) }
    if high - low > size * 1e-9 { return (low, high) }
    return (low - size / 10, high + size / 10)
  }

  /// The nearest of 1, 2, 5 × 10ⁿ that is not below `raw`.
  private static func round(_ raw: Double) -> Double {
    let magnitude = pow(10, log10(raw).rounded(.down))
    return magnitude * ([1, 2, 5].first { raw / magnitude <= $0 * (1 + 1e-9) } ?? 10)
  }

  /// Powers of `base`, evenly spaced, from below the range to above it.
  private static func exponents(
    _ range: (lower: Double, upper: Double), base: Double, target: Int
  ) -> [Double] {
    func exponent(_ value: Double) -> Double { log(value) / log(base) }
    // So that 1000 is no hair above 10³.
    var low = (exponent(range.lower) + 1e-9).rounded(.down)
    var high = max((exponent(range.upper) - 1e-9).rounded(.up), low + 1)
    // What is nearly one value stands in the middle of the axis, and does not look as if it rose or fell.
    while base == 2, high - low < 4 { (low, high) = (low - 1, high + 1) }
    let wanted = (high - low) / Double(max(target, 2))
    let step = [1, 2, 4, 5, 10, 20, 50, 100, 200].first { $0 >= wanted } ?? 500
    let first = (low / step).rounded(.down)
    let last = max((high / step).rounded(.up), first + 1)
    return (0...Int(last - first)).map { (first + Double($0)) * step }
  }
}
