import Foundation

@testable import LongzooTraining
@testable import longzoo

/// Numbers and other values that a field may have been changed to.
enum Extreme {
  static var values: [Any] {
    [
      -1, 0, 1, 2, 1 << 31, 1 << 53, Int.max, Int.min, 1e308, -1e308, 0.5, NSNull(), "x", true, [Int](),
      [String: Int](),
    ]
  }

  /// Every object that differs from `object` in one value at the end of a path: numbers, texts and truths, however deep.
  static func changes(of object: [String: Any]) -> [(field: String, value: Any, changed: [String: Any])] {
    object.sorted { $0.key < $1.key }.flatMap {
      key, old -> [(field: String, value: Any, changed: [String: Any])] in
      var changes: [(field: String, value: Any, changed: [String: Any])] = []
      func add(_ field: String, _ value: Any, _ new: Any?) {
        var changed = object
        changed[key] = new
        changes.append((field, value, changed))
      }
      if let inner = old as? [String: Any] {
        for change in Self.changes(of: inner) { add(key + "." + change.field, change.value, change.changed) }
      } else {
        for value in values { add(key, value, value) }
      }
      add(key, "nothing", nil)
      return changes
    }
  }
}

/// What a checkpoint says of its run, to be said otherwise.
struct CheckpointText {
  private var header: [String: Any]
  private let tensors: [UInt8]
  let state: [String: Any]

  init(_ bytes: [UInt8]) throws {
    let length = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    header = try JSONSerialization.jsonObject(with: Data(bytes[8..<8 + length])) as? [String: Any] ?? [:]
    tensors = Array(bytes[(8 + length)...])
    let metadata = header["__metadata__"] as? [String: String] ?? [:]
    state =
      try JSONSerialization.jsonObject(with: Data((metadata[Checkpoint.key] ?? "").utf8)) as? [String: Any]
      ?? [:]
  }

  /// The file with another state.
  func file(_ state: [String: Any]) throws -> [UInt8] {
    var header = header
    let json = try JSONSerialization.data(withJSONObject: state)
    header["__metadata__"] = [Checkpoint.key: String(decoding: json, as: UTF8.self)]
    var text = Array(try JSONSerialization.data(withJSONObject: header))
    text += [UInt8](repeating: 0x20, count: (8 - text.count % 8) % 8)
    return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text + tensors
  }
}

/// The bytes of a replay log, to be changed.
struct ReplayText {
  private let bytes: [UInt8]
  private let length: Int
  let configuration: [String: Any]

  init(_ bytes: [UInt8]) throws {
    self.bytes = bytes
    length = Int(ReplayReader.integer(bytes, 20, UInt32.self))
    configuration =
      try JSONSerialization.jsonObject(with: Data(bytes[24..<24 + length])) as? [String: Any] ?? [:]
  }

  /// Where the first record begins.
  var firstRecord: Int { 24 + length }

  func file(_ configuration: [String: Any]) throws -> [UInt8] {
    let json = Array(try JSONSerialization.data(withJSONObject: configuration))
    return bytes[..<20] + withUnsafeBytes(of: UInt32(json.count).littleEndian) { Array($0) } + json
      + bytes[firstRecord...]
  }

  /// The file with bytes of the first record's payload changed, and its check made right.
  func file(payload change: (inout [UInt8]) -> Void) -> [UInt8] {
    let count = Int(ReplayReader.integer(bytes, firstRecord, UInt32.self))
    var payload = Array(bytes[(firstRecord + 8)..<(firstRecord + 8 + count)])
    change(&payload)
    let check = payload.withUnsafeBytes { ReplayFormat.check($0) }
    let head = [UInt32(payload.count), check].flatMap { value in
      withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
    return bytes[..<firstRecord] + head + payload + bytes[(firstRecord + 8 + count)...]
  }
}
