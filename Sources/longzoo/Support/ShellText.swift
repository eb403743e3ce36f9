/// Words for a shell.
enum ShellText {
  /// As it is where that is safe, else in single quotes; with characters that a terminal would obey, as bash writes them.
  static func quoted(_ word: String) -> String {
    let isPlain =
      !word.isEmpty
      && word.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): return true
        // - . / and the digits, that is.
        case UInt8(ascii: "-")...UInt8(ascii: "9"): return true
        default:
          return [UInt8(ascii: "_"), UInt8(ascii: "="), UInt8(ascii: ","), UInt8(ascii: ":")].contains(byte)
        }
      }
    guard word.unicodeScalars.allSatisfy(TerminalText.isPlain) else { return ansiQuoted(word) }
    var out = ""
    for character in word { out += character == "'" ? "'\\''" : String(character) }
    return isPlain ? word : "'" + out + "'"
  }

  /// `$'…'`, every byte that is not printable ASCII by its number.
  private static func ansiQuoted(_ word: String) -> String {
    var out = "$'"
    for byte in word.utf8 {
      switch byte {
      case UInt8(ascii: "'"), UInt8(ascii: "\\"): out += "\\" + String(Unicode.Scalar(byte))
      case 0x20...0x7e: out.unicodeScalars.append(Unicode.Scalar(byte))
      // Three digits, so that a digit that follows is not taken for a part.
      default: out += "\\" + String(byte >> 6) + String(byte >> 3 & 7) + String(byte & 7)
      }
    }
    return out + "'"
  }

  static func command(_ words: [String]) -> String { words.map(quoted).joined(separator: " ") }
}
