import LongzooMemory

/// What a safetensors file says of its own bytes, so that a change by accident is found when they are read: the XXH64 of every
/// tensor, and of every text in the metadata.
///
/// It is one more text of the metadata, which files of other programs lack, and which a program that changes tensors leaves out.
struct FileChecksums {
  static let key = "longzoo.checksums"
  /// Before the key of a text, which may be the name of a tensor as well.
  private static let textMark = "@"

  private(set) var values: [String: UInt64] = [:]

  init() {}

  /// - Throws: exit code 65 for what is no list of checksums.
  init?(_ metadata: [String: String], path: String) throws(RunFailure) {
    guard let list = metadata[Self.key] else { return nil }
    for item in list.split(separator: " ") {
      guard let colon = item.lastIndex(of: ":"),
        let value = UInt64(item[item.index(after: colon)...], radix: 16)
      else { throw Self.damaged(path, "the list of its checksums") }
      values[String(item[..<colon])] = value
    }
    for (name, text) in metadata where name != Self.key {
      guard let wanted = values[Self.textMark + name], wanted != Self.value(of: text) else { continue }
      throw Self.damaged(path, "\"\(name)\" in its metadata")
    }
  }

  mutating func add(_ texts: [String: String]) {
    for (key, text) in texts { values[Self.textMark + key] = Self.value(of: text) }
  }

  mutating func add(_ checksum: UInt64, of tensor: String) { values[tensor] = checksum }

  /// As long for every value: it can be put in place once the tensors are written.
  var text: String {
    values.sorted { $0.key < $1.key }.map { name, value in
      let digits = String(value, radix: 16)
      return "\(name):" + String(repeating: "0", count: 16 - digits.count) + digits
    }.joined(separator: " ")
  }

  private static func value(of text: String) -> UInt64 {
    Array(text.utf8).withUnsafeBytes { Checksum.of($0) }
  }

  /// - Parameter part: of the file, as the beginning of a sentence.
  static func damaged(_ path: String, _ part: String) -> RunFailure {
    let previous = RunFolder.previous(of: path)
    let other = previous.map { "take \($0), or a copy of the file" } ?? "take a copy of the file"
    return .badData(
      "\(path) is damaged: \(part) is not what was written there (its checksum is another); \(other), or, if somebody has changed it on "
        + "purpose, leave \"\(key)\" out of its metadata")
  }
}

/// Holds the tensors that are read against their checksums, piece by piece as they come.
struct ChecksumWatch {
  private let wanted: [String: UInt64]
  /// Tensors that were read in part, and how many of their bytes.
  private var running: [String: (checksum: Checksum, bytes: Int)] = [:]

  init(_ checksums: FileChecksums?) { wanted = checksums?.values ?? [:] }

  /// A part that follows the one before it; a tensor that is read in another order is not looked at.
  /// - Returns: false where the tensor has come to its end, and its bytes are others than were written.
  mutating func isSound(
    _ bytes: UnsafeRawBufferPointer, from offset: Int, of entry: Safetensors.Entry
  ) -> Bool {
    guard let value = wanted[entry.name] else { return true }
    var (checksum, next) = (Checksum(), 0)
    if offset > 0, let before = running[entry.name] { (checksum, next) = before }
    guard next == offset else { return true }
    checksum.add(bytes)
    next += bytes.count
    running[entry.name] = next < entry.byteCount ? (checksum, next) : nil
    return next < entry.byteCount || checksum.value == value
  }
}
