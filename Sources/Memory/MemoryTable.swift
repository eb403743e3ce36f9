/// Bytes by category.
public struct MemoryTable: Equatable, Sendable {
  private var bytes: [MemoryCategory: Int] = [:]

  /// No bytes at all.
  public init() {}

  /// The bytes of a category.
  public subscript(category: MemoryCategory) -> Int {
    get { bytes[category, default: 0] }
    set { bytes[category] = newValue == 0 ? nil : newValue }
  }

  /// The bytes of all categories.
  public var total: Int { bytes.values.reduce(0, +) }

  /// The sums of both tables' categories.
  public static func + (left: MemoryTable, right: MemoryTable) -> MemoryTable {
    var sum = left
    for category in MemoryCategory.allCases { sum[category] += right[category] }
    return sum
  }

  /// One line a category and the total, for people.
  public func formatted(budget: Int? = nil) -> String {
    var rows = MemoryCategory.allCases.map { ($0.rawValue, self[$0]) }
    rows.append(("total", total))
    if let budget { rows.append(("budget", budget)) }
    let width = rows.map { ByteSize.grouped($0.1).count }.max() ?? 0
    return rows.map { name, bytes in
      let digits = ByteSize.grouped(bytes)
      let pad = String(repeating: " ", count: 14 - name.count + width - digits.count)
      return "  \(name)\(pad)\(digits) B  \(ByteSize.formatted(bytes))"
    }.joined(separator: "\n")
  }
}

/// Sizes as people write and read them: B, KiB, MiB, GiB, TiB.
public enum ByteSize {
  private static let units = ["B", "KiB", "MiB", "GiB", "TiB"]

  /// `1536` → `"1.50 KiB"`
  public static func formatted(_ bytes: Int) -> String {
    var value = Double(bytes)
    var unit = 0
    while abs(value) >= 1024, unit < units.count - 1 {
      value /= 1024
      unit += 1
    }
    if unit == 0 { return "\(bytes) B" }
    let hundredths = Int((value * 100).rounded())
    let fraction = hundredths % 100
    return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) \(units[unit])"
  }

  /// `1234567` → `"1,234,567"`
  public static func grouped(_ number: Int) -> String {
    let digits = Array(String(number.magnitude))
    var out = number < 0 ? "-" : ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { out.append(",") }
      out.append(digit)
    }
    return out
  }
}
