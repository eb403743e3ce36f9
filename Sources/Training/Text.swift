import Foundation

/// Numbers as people read them.
package enum Text {
  package static func number(_ value: Double?, _ digits: Int) -> String {
    value.map { String(format: "%.\(digits)f", $0) } ?? "–"
  }

  /// Three digits.
  package static func short(_ value: Double) -> String { String(format: "%.3g", value) }

  /// `45 s`, `12 min 5 s`, `3 h 20 min`
  package static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e9 else { return "for ever" }
    let whole = Int(seconds.rounded())
    if seconds < 10, seconds != seconds.rounded() { return number(seconds, 1) + " s" }
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min" + (whole % 60 > 0 ? " \(whole % 60) s" : "") }
    return "\(whole / 3600) h" + (whole / 60 % 60 > 0 ? " \(whole / 60 % 60) min" : "")
  }

  /// Nats as bits.
  package static func bits(_ nats: Double?) -> String { number(nats.map { $0 / log(2) }, 3) }
}
