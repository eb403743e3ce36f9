/// All that `metrics.jsonl` says, as far as it is there.
package struct MetricsHistory {
  package private(set) var records: [MetricsRecord] = []
  /// Whole lines that are no records. A torn last line is none of them: its run may be writing it.
  package private(set) var unreadableLines = 0
  /// The number of the first of them, from 1.
  package private(set) var firstUnreadableLine: Int?
  /// The number of a last line that is no record and has no end; nil where there is none.
  package private(set) var tornLine: Int?

  package init() {}

  /// Reads a file line by line; none is an empty history.
  /// - Parameter stop: asked before every line; true ends the reading.
  /// - Throws: `RunFailure` if the file cannot be read, and `RunStopped`.
  package init(path: String, stop: () -> Bool = { false }) throws {
    guard let lines = try LineReader(path: path) else { return }
    var number = 0
    while let line = try lines.next() {
      number += 1
      if stop() { throw RunStopped() }
      if let record = MetricsLine.record(line.text) {
        records.append(record)
      } else if line.isWhole, line.isTooLong || !line.text.isEmpty {
        unreadableLines += 1
        firstUnreadableLine = firstUnreadableLine ?? number
      } else if !line.isWhole {
        tornLine = number
      }
    }
  }
}

/// One line, without a JSON parser: there may be millions.
enum MetricsLine {
  /// nil for what is no flat object with at least a step.
  static func record(_ line: UnsafeRawBufferPointer) -> MetricsRecord? {
    guard let fields = fields(String(decoding: line, as: UTF8.self).utf8) else { return nil }
    guard let step = fields["step"].flatMap({ Int(exactly: $0) }) else { return nil }
    func integer(_ key: String) -> Int? { fields[key].flatMap { Int(exactly: $0.rounded()) } }
    return MetricsRecord(
      step: step, tokens: integer("tokens") ?? 0, trainLoss: fields["train/loss"],
      valLoss: fields["val/loss"],
      learningRate: fields["lr"], tokensPerSecond: fields["tok_per_s"], residentBytes: integer("rss_bytes"),
      wallSeconds: fields["wall_s"])
  }

  /// The numbers of `{"key":number,…}`; null and other plain words are left out.
  private static func fields(_ text: String.UTF8View) -> [String: Double]? {
    let text = trimmed(text[...])
    guard text.first == UInt8(ascii: "{"), text.last == UInt8(ascii: "}") else { return nil }
    var fields: [String: Double] = [:]
    for pair in text.dropFirst().dropLast().split(separator: UInt8(ascii: ",")) {
      guard let colon = pair.lastIndex(of: UInt8(ascii: ":")) else { return nil }
      let key = trimmed(pair[..<colon])
      guard key.count >= 2, key.first == UInt8(ascii: "\""), key.last == UInt8(ascii: "\"") else {
        return nil
      }
      let word = trimmed(pair[pair.index(after: colon)...])
      if word.isEmpty { return nil }
      if let value = Double(Substring(word)), value.isFinite {
        fields[String(Substring(key.dropFirst().dropLast()))] = value
      }
    }
    return fields
  }

  private static func trimmed(_ text: Substring.UTF8View) -> Substring.UTF8View {
    func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }
    var text = text
    while let first = text.first, isSpace(first) { text = text.dropFirst() }
    while let last = text.last, isSpace(last) { text = text.dropLast() }
    return text
  }
}
