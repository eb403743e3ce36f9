/// Text made safe for a terminal: names of files and what stands in them come from anywhere, and an escape sequence in them
/// could rewrite the screen, or pass for lines of the program's own.
///
/// What is not shown as it is stands there as JSON writes it, `\u001b`, so that a JSON text means the same as before.
enum TerminalText {
  /// For names, and for messages that are one line.
  static func line(_ text: String) -> String { escaped(text) { _ in false } }

  /// For texts of several lines: line breaks and tabs stay.
  static func lines(_ text: String) -> String { escaped(text) { $0 == "\n" || $0 == "\t" } }

  /// Whether a terminal shows the character and does nothing else: no controls, no separators of lines and no marks that turn
  /// the direction of the text around them. The joiners of scripts and emoji are harmless.
  static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return scalar >= " " && scalar != "\u{7F}" }
    if scalar == "\u{200C}" || scalar == "\u{200D}" { return true }
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: return false
    default: return true
    }
  }

  private static func escaped(_ text: String, isKept: (Unicode.Scalar) -> Bool) -> String {
    if text.unicodeScalars.allSatisfy({ isPlain($0) || isKept($0) }) { return text }
    var out = ""
    out.reserveCapacity(text.utf8.count + 32)
    for scalar in text.unicodeScalars {
      if isPlain(scalar) || isKept(scalar) {
        out.unicodeScalars.append(scalar)
      } else {
        out += escape(scalar)
      }
    }
    return out
  }

  private static func escape(_ scalar: Unicode.Scalar) -> String {
    switch scalar {
    case "\n": return "\\n"
    case "\r": return "\\r"
    case "\t": return "\\t"
    default:
      return String(scalar).utf16.map { unit in
        let digits = String(unit, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      }.joined()
    }
  }
}
