import Foundation
import LongzooMemory
import LongzooTraining

/// What the numbers of an axis are, and so how people read them.
enum Quantity {
  case plain, count, bytes, seconds

  typealias Unit = (size: Double, name: String)

  private var units: [Unit] {
    switch self {
    case .plain: return [(1, "")]
    case .count: return [(1, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")]
    case .bytes:
      return [
        (1, " B"), (0x1p10, " KiB"), (0x1p20, " MiB"), (0x1p30, " GiB"), (0x1p40, " TiB"), (0x1p50, " PiB"),
      ]
    case .seconds:
      return [(1e-6, " µs"), (1e-3, " ms"), (1, " s"), (60, " min"), (3600, " h"), (86400, " d")]
    }
  }

  /// The unit in which `value` has one to four digits before the point, where there is such a unit.
  func unit(for value: Double) -> Unit {
    // "90 s" and "4000" read better than "1.5 min" and "4k".
    func patience(_ unit: Unit) -> Double {
      switch self {
      case .count: return unit.size == 1e3 ? 10 : 1
      case .seconds: return unit.size > 1 ? 2 : 1
      case .plain, .bytes: return 1
      }
    }
    return units.last { abs(value) >= $0.size * patience($0) }
      ?? (value == 0 ? units.first { $0.size == 1 }! : units[0])
  }

  /// A value by itself, to about four digits: `12.35 MiB`, `1,234`, `1.2 s`.
  func text(_ value: Double) -> String {
    guard value.isFinite else { return "–" }
    if self == .count || self == .plain, value == value.rounded(), abs(value) < 1e15 {
      return ByteSize.grouped(Int(value))
    }
    let unit = unit(for: value)
    return Self.significant(value / unit.size, 4) + unit.name
  }

  /// The shortest text: `10k`, `16 MiB`.
  func short(_ value: Double) -> String {
    let unit = units.last { abs(value) >= $0.size } ?? units[0]
    return value == 0 ? "0" : Self.significant(value / unit.size, 3) + unit.name
  }

  /// `12.50` → `12.5`, `1e+30` for what is very large or very small.
  static func significant(_ value: Double, _ digits: Int) -> String {
    String(format: "%.\(digits)g", value)
  }
}
