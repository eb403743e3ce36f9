/// Words for a shell.
enum ShellText {
  /// As it is where that is safe, else in single quotes.
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
    var out = ""
    for character in word { out += character == "'" ? "'\\''" : String(character) }
    return isPlain ? word : "'" + out + "'"
  }

  static func command(_ words: [String]) -> String { words.map(quoted).joined(separator: " ") }
}
