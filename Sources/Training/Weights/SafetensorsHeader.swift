import LongzooMemory

/// Parses a safetensors header: JSON of one fixed shape, so no general reader with its recursion is needed, and
/// what general readers pass over (duplicate keys, odd numbers) is refused.
package struct SafetensorsHeader {
  package private(set) var metadata: [String: String] = [:]
  /// In the order of the data.
  package private(set) var entries: [Safetensors.Entry] = []

  private let bytes: [UInt8]
  private let path: String
  private var position = 0

  /// - Parameter bytes: the header alone, without its length.
  /// - Parameter dataBytes: what follows it in the file.
  /// - Throws: exit code 65, with the offset in the file.
  package init(_ bytes: [UInt8], dataBytes: Int, path: String) throws(RunFailure) {
    self.bytes = bytes
    self.path = path
    guard bytes.first == UInt8(ascii: "{") else { throw failure("the header does not start with '{'") }
    try parseTop()
    skipSpace()
    guard position == bytes.count else { throw failure("the header goes on after its closing '}'") }
    try checkLayout(dataBytes: dataBytes)
  }

  private mutating func parseTop() throws(RunFailure) {
    var names: Set<String> = []
    try parseObject { (parser, key, start) throws(RunFailure) in
      guard names.insert(key).inserted else {
        throw parser.failure("the key \"\(key)\" appears twice", at: start)
      }
      if key == "__metadata__" {
        try parser.parseMetadata()
      } else {
        try parser.parseEntry(name: key)
      }
    }
  }

  private mutating func parseMetadata() throws(RunFailure) {
    try parseObject { (parser, key, start) throws(RunFailure) in
      let value = try parser.parseString()
      guard parser.metadata.updateValue(value, forKey: key) == nil else {
        throw parser.failure("the metadata key \"\(key)\" appears twice", at: start)
      }
    }
  }

  private mutating func parseEntry(name: String) throws(RunFailure) {
    let start = position
    var dtype: Safetensors.DType?
    var shape: [Int]?
    var offsets: [Int]?
    try parseObject { (parser, key, keyStart) throws(RunFailure) in
      switch key {
      case "dtype" where dtype == nil:
        let valueStart = parser.position
        let text = try parser.parseString()
        guard let known = Safetensors.DType(rawValue: text) else {
          throw parser.failure("tensor \"\(name)\" has the unknown dtype \"\(text)\"", at: valueStart)
        }
        dtype = known
      case "shape" where shape == nil: shape = try parser.parseIntegers()
      case "data_offsets" where offsets == nil: offsets = try parser.parseIntegers()
      default:
        throw parser.failure("tensor \"\(name)\" has an unexpected or repeated key \"\(key)\"", at: keyStart)
      }
    }
    guard let dtype, let shape, let offsets else {
      throw failure("tensor \"\(name)\" lacks its dtype, shape or data_offsets", at: start)
    }
    guard offsets.count == 2, offsets[0] <= offsets[1] else {
      throw failure("tensor \"\(name)\" has data_offsets that are not a begin and an end", at: start)
    }
    guard Safetensors.byteCount(dtype, shape) == offsets[1] - offsets[0] else {
      let bytes = offsets[1] - offsets[0]
      throw failure("tensor \"\(name)\": \(shape) of \(dtype.rawValue) do not fill \(bytes) bytes", at: start)
    }
    entries.append(.init(name: name, dtype: dtype, shape: shape, range: offsets[0]..<offsets[1]))
  }

  /// The tensors must cover the data, each byte once.
  private mutating func checkLayout(dataBytes: Int) throws(RunFailure) {
    entries.sort { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
    var end = 0
    for entry in entries {
      guard entry.range.lowerBound == end else {
        let what = entry.range.lowerBound < end ? "overlaps the tensor before it" : "leaves a hole before it"
        throw failure("tensor \"\(entry.name)\" at data offset \(entry.range.lowerBound) \(what)", at: 0)
      }
      end = entry.range.upperBound
    }
    guard end == dataBytes else {
      throw failure("the header describes \(end) bytes of tensors, and the file holds \(dataBytes)", at: 0)
    }
  }
}

// JSON, as much of it as headers use.
extension SafetensorsHeader {
  /// `{"key": value, …}`: `body` is called with the position at each value and must consume it.
  private mutating func parseObject(
    _ body: (inout SafetensorsHeader, _ key: String, _ keyStart: Int) throws(RunFailure) -> Void
  ) throws(RunFailure) {
    try expect("{")
    if accept("}") { return }
    repeat {
      skipSpace()
      let start = position
      let key = try parseString()
      try expect(":")
      skipSpace()
      try body(&self, key, start)
    } while accept(",")
    try expect("}")
  }

  /// `[0, 12, …]`: whole numbers that are not negative.
  private mutating func parseIntegers() throws(RunFailure) -> [Int] {
    try expect("[")
    if accept("]") { return [] }
    var values: [Int] = []
    repeat { values.append(try parseInteger()) } while accept(",")
    try expect("]")
    return values
  }

  private mutating func parseInteger() throws(RunFailure) -> Int {
    skipSpace()
    let start = position
    var value = 0
    while let byte = current, byte >= 0x30, byte <= 0x39 {
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (next, carry) = tens.addingReportingOverflow(Int(byte - 0x30))
      if overflow || carry { throw failure("a number is too large", at: start) }
      value = next
      position += 1
    }
    guard position > start, position == start + 1 || bytes[start] != 0x30 else {
      throw failure("expected a whole number", at: start)
    }
    return value
  }

  private mutating func parseString() throws(RunFailure) -> String {
    try expect("\"")
    let start = position
    var out: [UInt8] = []
    while let byte = current {
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let text = String(validating: out, as: UTF8.self) else {
          throw failure("a string is not UTF-8", at: start)
        }
        return text
      case UInt8(ascii: "\\"): try parseEscape(into: &out)
      case 0..<0x20: throw failure("a control character in a string", at: position - 1)
      default: out.append(byte)
      }
    }
    throw failure("a string does not end", at: start)
  }

  private mutating func parseEscape(into out: inout [UInt8]) throws(RunFailure) {
    let start = position - 1
    guard let byte = current else { throw failure("a string does not end", at: start) }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(byte)
    case UInt8(ascii: "b"): out.append(8)
    case UInt8(ascii: "t"): out.append(9)
    case UInt8(ascii: "n"): out.append(10)
    case UInt8(ascii: "f"): out.append(12)
    case UInt8(ascii: "r"): out.append(13)
    case UInt8(ascii: "u"):
      var code = try parseHex()
      if code & 0xfc00 == 0xd800, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
        bytes[position + 1] == UInt8(ascii: "u")
      {
        position += 2
        let low = try parseHex()
        guard low & 0xfc00 == 0xdc00 else { throw failure("half of a surrogate pair", at: start) }
        code = 0x10000 + (code & 0x3ff) << 10 + low & 0x3ff
      }
      guard let scalar = Unicode.Scalar(code) else { throw failure("half of a surrogate pair", at: start) }
      out.append(contentsOf: Array(String(Character(scalar)).utf8))
    default: throw failure("an unknown escape in a string", at: start)
    }
  }

  private mutating func parseHex() throws(RunFailure) -> UInt32 {
    guard position + 4 <= bytes.count else { throw failure("a string does not end") }
    var code: UInt32 = 0
    for byte in bytes[position..<position + 4] {
      guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw failure("an escape that is not hexadecimal")
      }
      code = code << 4 | UInt32(digit)
    }
    position += 4
    return code
  }

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { position += 1 }
  }

  private mutating func accept(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard current == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(RunFailure) {
    guard accept(character) else { throw failure("expected '\(character)'") }
  }

  private func failure(_ message: String, at offset: Int? = nil) -> RunFailure {
    .badData("\(path): byte \(8 + (offset ?? position)): \(message); not a sound safetensors file")
  }
}
