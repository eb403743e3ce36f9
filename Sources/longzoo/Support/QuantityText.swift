import ArgumentParser
import LongzooTraining

/// An exact decimal number with a suffix: what counts, sizes and durations have in common.
enum QuantityText {
  /// The largest power of ten that a count can have; more digits than that are an error in any case.
  private static let largestPower = 30

  /// `"1_000.5 MiB"` → `("1000.5", "MiB")`; an exponent, as in `1e6`, belongs to the number.
  static func split(_ text: String) throws -> (number: String, suffix: String) {
    let bytes = Array(text.utf8)
    let end = endOfNumber(bytes)
    var number = String(decoding: bytes[..<end], as: UTF8.self)
    var suffix = String(decoding: bytes[end...], as: UTF8.self)
    if number.isEmpty, suffix.hasPrefix("-") { throw ValidationError("it must not be negative.") }
    if number.isEmpty { throw ValidationError("it must start with a number.") }
    if number == "0", suffix.lowercased().hasPrefix("x") {
      throw ValidationError("numbers are decimal here, not hexadecimal.")
    }
    if number.hasPrefix("_") || number.hasSuffix("_") || number.contains("__") {
      throw ValidationError("'_' separates digits: 1_000_000.")
    }
    number.removeAll { $0 == "_" }
    if suffix.hasPrefix(" ") { suffix.removeFirst() }
    return (number, suffix)
  }

  /// number × 10^powerOfTen × factor, exactly: no floating point, and no fraction may be left.
  static func value(of number: String, powerOfTen: Int, factor: Int) throws -> Int {
    let (whole, digits, exponent) = try parts(of: number)
    var fraction = digits
    while fraction.last == UInt8(ascii: "0") { fraction.removeLast() }
    var value = 0
    for digit in whole + fraction {
      value = try product(value, 10)
      value = try sum(value, Int(digit - UInt8(ascii: "0")))
    }
    let shift = powerOfTen + exponent - fraction.count
    for _ in 0..<max(shift, 0) { value = try product(value, 10) }
    value = try product(value, factor)
    for _ in 0..<max(-shift, 0) {
      guard value % 10 == 0 else { throw ValidationError("it is not a whole number.") }
      value /= 10
    }
    return value
  }

  /// The digits before and after the point, and the power of ten of an exponent.
  private static func parts(of number: String) throws -> (whole: [UInt8], fraction: [UInt8], exponent: Int) {
    let halves = number.utf8.split(omittingEmptySubsequences: false) { $0 | 0x20 == UInt8(ascii: "e") }
    let exponent = halves.count == 2 ? Int(String(decoding: halves[1], as: UTF8.self)) : 0
    let parts = halves[0].split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard let exponent, parts.count <= 2, let whole = parts.first, !whole.isEmpty,
      parts.last?.isEmpty == false
    else { throw ValidationError("it must start with a number.") }
    guard abs(exponent) <= largestPower else {
      throw ValidationError("its exponent is not from -\(largestPower) to \(largestPower).")
    }
    return (Array(whole), parts.count == 2 ? Array(parts[1]) : [], exponent)
  }

  /// An `e` is part of a number only where digits follow it.
  private static func endOfNumber(_ bytes: [UInt8]) -> Int {
    let end = bytes.firstIndex { !belongsToNumber($0) } ?? bytes.count
    guard end > 0, end < bytes.count, bytes[end] | 0x20 == UInt8(ascii: "e") else { return end }
    var last = end + 1
    if last < bytes.count, bytes[last] == UInt8(ascii: "+") || bytes[last] == UInt8(ascii: "-") { last += 1 }
    let firstDigit = last
    while last < bytes.count, isDigit(bytes[last]) { last += 1 }
    return last > firstDigit ? last : end
  }

  private static func product(_ a: Int, _ b: Int) throws -> Int {
    let (value, overflow) = a.multipliedReportingOverflow(by: b)
    if overflow { throw ValidationError("it is over \(Int.max), the largest number here.") }
    return value
  }

  private static func sum(_ a: Int, _ b: Int) throws -> Int {
    let (value, overflow) = a.addingReportingOverflow(b)
    if overflow { throw ValidationError("it is over \(Int.max), the largest number here.") }
    return value
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

  private static func belongsToNumber(_ byte: UInt8) -> Bool {
    isDigit(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
  }
}

/// A number that need not be whole: `0.01`, `1e-3`, `-1`.
enum DecimalNumber {
  /// - Throws: `ValidationError` for what is no finite decimal number: hexadecimal ones are mostly slips.
  static func parse(_ text: String) throws -> Double {
    let characters = text.utf8.dropFirst(text.hasPrefix("-") || text.hasPrefix("+") ? 1 : 0)
    let isDecimal = characters.allSatisfy { byte in
      byte >= 0x30 && byte <= 0x39 || [0x2B, 0x2D, 0x2E, 0x45, 0x65].contains(byte)
    }
    guard isDecimal, let value = Double(text) else {
      throw ValidationError("it must be a decimal number, such as 0.01 or 1e-3.")
    }
    guard value.isFinite else {
      throw ValidationError("it is over \(Double.greatestFiniteMagnitude), the largest number here.")
    }
    return value
  }
}

/// Seconds as a person writes them: `90`, `90s`, `10m`, `1.5h`, `2d`.
enum DurationText {
  private static let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86400]

  /// - Throws: `ValidationError` with the reason.
  static func parse(_ text: String) throws -> Double {
    let unit = text.last.flatMap { units[$0] }
    let number = unit == nil ? text[...] : text.dropLast()
    guard let value = try? DecimalNumber.parse(String(number)) else {
      throw ValidationError("a duration is a number of seconds, or one with s, m, h or d: 90s, 10m, 1.5h.")
    }
    return value * (unit ?? 1)
  }
}

/// The seed of all randomness.
enum Seed {
  /// - Throws: `ValidationError` with the reason.
  static func parse(_ text: String) throws -> UInt64 {
    guard let value = UInt64(text), text.first != "+" else {
      throw ValidationError("a seed is a whole number from 0 to \(UInt64.max).")
    }
    return value
  }
}
