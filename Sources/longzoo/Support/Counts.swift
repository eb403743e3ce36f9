import ArgumentParser
import LongzooTraining

/// A number of tokens, steps or columns as a person writes it: `1000000`, `1_000_000`, `1M`, `2.5k`, `1e6`.
///
/// With `transform: TokenCount.parse` an option says why it refused a value; as a plain
/// `ExpressibleByArgument` it can only say that it did.
struct TokenCount: ExpressibleByArgument, Hashable, Sendable {
  let value: Int

  init(_ value: Int) {
    self.value = value
  }

  init?(argument: String) {
    guard let parsed = try? Self.parse(argument) else { return nil }
    self = parsed
  }

  /// - Throws: `ValidationError` with the reason.
  static func parse(_ text: String) throws -> TokenCount {
    let (number, suffix) = try QuantityText.split(text)
    let zeros: Int
    switch suffix {
    case "": zeros = 0
    case "k", "K": zeros = 3
    case "M", "m": zeros = 6
    case "G", "g": zeros = 9
    case "B", "b": throw ValidationError("write \(number)G for billions.")
    case "Ki", "Mi", "Gi", "KiB", "MiB", "GiB":
      throw ValidationError("a count is not a size in bytes; it takes k, M or G (powers of ten).")
    default:
      throw ValidationError("a count is a whole number such as 1000000 or 1e6, or a number with k, M or G.")
    }
    return TokenCount(try QuantityText.value(of: number, powerOfTen: zeros, factor: 1))
  }

  /// The bare number: for counts of other things than tokens.
  /// - Throws: `ValidationError` with the reason.
  static func number(_ text: String) throws -> Int { try parse(text).value }

  var defaultValueDescription: String { formatted }

  /// The shortest exact form: 1000000 is `1M`, 1500 is `1500`.
  var formatted: String {
    for (suffix, unit) in [("G", 1_000_000_000), ("M", 1_000_000), ("k", 1000)]
    where value >= unit && value % unit == 0 {
      return "\(value / unit)\(suffix)"
    }
    return "\(value)"
  }
}

/// A size in bytes as a person writes it: `1073741824`, `512MiB`, `1.5 GiB`.
///
/// `512M` and `512MB` are refused: half of the world reads powers of 1000 there and the other half of 1024.
struct ByteSizeArgument: ExpressibleByArgument, Hashable, Sendable {
  let bytes: Int

  init(_ bytes: Int) {
    self.bytes = bytes
  }

  init?(argument: String) {
    guard let parsed = try? Self.parse(argument) else { return nil }
    self = parsed
  }

  /// - Throws: `ValidationError` with the reason.
  static func parse(_ text: String) throws -> ByteSizeArgument {
    let (number, suffix) = try QuantityText.split(text)
    let shift: Int
    switch suffix.lowercased() {
    case "", "b": shift = 0
    case "ki", "kib": shift = 10
    case "mi", "mib": shift = 20
    case "gi", "gib": shift = 30
    case "ti", "tib": shift = 40
    case "k", "kb", "m", "mb", "g", "gb", "t", "tb":
      let unit = suffix.prefix(1).uppercased() + "iB"
      throw ValidationError(
        "\(suffix) may mean powers of 1000 or of 1024; write \(number)\(unit) or plain bytes.")
    default:
      throw ValidationError("a size is a number of bytes, or one with B, KiB, MiB, GiB or TiB behind it.")
    }
    return ByteSizeArgument(try QuantityText.value(of: number, powerOfTen: 0, factor: 1 << shift))
  }

  var defaultValueDescription: String {
    for (suffix, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)]
    where bytes >= 1 << shift && bytes & (1 << shift - 1) == 0 {
      return "\(bytes >> shift)\(suffix)"
    }
    return "\(bytes)B"
  }
}
