import Foundation
import LongzooMemory
import Testing

@testable import LongzooTraining
@testable import longzoo

@Suite struct SafetensorsTests {
  private func file(_ json: String, data: Int, length: UInt64? = nil) -> [UInt8] {
    withUnsafeBytes(of: (length ?? UInt64(json.utf8.count)).littleEndian) { Array($0) } + Array(json.utf8)
      + [UInt8](repeating: 7, count: data)
  }

  @Test func whatIsWrittenIsReadBack() throws {
    let folder = TestFolder()
    let floats: [Float] = [1, -2.5, .infinity, 0, 5, 6]
    // Larger than the buffer, so that it comes in several pieces.
    let longCount = TransferBuffer.byteCount / 2 + 1001
    try floats.withUnsafeBufferPointer { floats in
      try SafetensorsWriter.write(
        to: folder("a.safetensors"), metadata: ["note": "a \"quoted\" line\n\u{1}é"],
        tensors: [
          TensorToWrite(name: "byte", dtype: .u8, shape: [3]) { offset, piece in
            for index in 0..<piece.count { piece[index] = UInt8(offset + index) }
          },
          TensorToWrite(name: "long", dtype: .u16, shape: [longCount]) { offset, piece in
            let out = piece.bindMemory(to: UInt16.self)
            for index in 0..<out.count { out[index] = UInt16(truncatingIfNeeded: offset / 2 + index) }
          },
          TensorToWrite(name: "wéight", shape: [2, 3], floats: floats),
          TensorToWrite(name: "none", dtype: .f64, shape: [0, 4]) { _, _ in },
        ], through: TransferBuffer(ledger: MemoryLedger()))
    }
    let reader = try SafetensorsReader(path: folder("a.safetensors"))
    #expect(reader.metadata == ["format": "pt", "note": "a \"quoted\" line\n\u{1}é"])
    #expect(reader.entries.map(\.name) == ["none", "wéight", "long", "byte"])
    #expect(reader["wéight"]?.shape == [2, 3])
    var back = [Float](repeating: 9, count: 6)
    try back.withUnsafeMutableBytes { try reader.read("wéight", into: $0) }
    #expect(back == floats)
    var long = [UInt16](repeating: 0, count: longCount)
    try long.withUnsafeMutableBytes { try reader.read("long", into: $0) }
    #expect(long.indices.allSatisfy { long[$0] == UInt16(truncatingIfNeeded: $0) })
    var part = [UInt16](repeating: 0, count: 2)
    try part.withUnsafeMutableBytes { try reader.read(reader["long"]!, from: 200, into: $0) }
    #expect(part == [100, 101])
    #expect(folder.names == ["a.safetensors"])
    // The data begins at a multiple of 8.
    #expect(folder.bytes("a.safetensors")[0] % 8 == 0)
  }

  @Test func readingTheWrongTensorOrSizeIsAnError() throws {
    let folder = TestFolder()
    let path = folder.put(
      "t", file(#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}  "#, data: 2))
    let reader = try SafetensorsReader(path: path)
    var three = [UInt8](repeating: 0, count: 3)
    let size = failure { try three.withUnsafeMutableBytes { try reader.read("a", into: $0) } }
    #expect(size?.exitCode == 65)
    #expect(failure { try three.withUnsafeMutableBytes { try reader.read("b", into: $0) } }?.exitCode == 65)
    #expect(failure { _ = try SafetensorsReader(path: folder("missing")) }?.exitCode == 66)
    #expect(failure { _ = try SafetensorsReader(path: folder.path) }?.exitCode == 65)
  }

  @Test(arguments: [
    (entry("a", "[1]", 0, 1) + "," + entry("a", "[1]", 1, 2), 2),
    (entry("a", "[1]", 1, 2), 2), (entry("a", "[2]", 0, 2) + "," + entry("b", "[2]", 1, 3), 3),
    (entry("a", "[1]", 0, 1), 2), (entry("a", "[2]", 0, 2), 1), (entry("a", "[2]", 2, 0), 2),
    (entry("a", "[9223372036854775807,3]", 0, 2), 2), (entry("a", "[99999999999999999999]", 0, 2), 2),
    (entry("a", "[-1]", 0, 2), 2), (entry("a", "[2.0]", 0, 2), 2), (entry("a", "[02]", 0, 2), 2),
    (entry("a", "[1]", 0, 2), 2), (entry("a", "[2]", 0, 2) + " x", 2), (entry("a", "[2]", 0, 2) + ",", 2),
    (#""a":{"dtype":"F32","shape":[2],"data_offsets":[0,2]}"#, 2),
    (#""a":{"dtype":"U9","shape":[2],"data_offsets":[0,2]}"#, 2),
    (#""a":{"dtype":"U8","shape":[2],"data_offsets":[0,2,3]}"#, 2), (#""a":{"dtype":"U8","shape":[2]}"#, 2),
    (#""a":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}"#, 2),
    (#""a":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"more":1}"#, 2),
    (#""__metadata__":{"x":1}"#, 0), (#""__metadata__":{"x":"1","x":"2"}"#, 0), (#""a""#, 0), (",", 0),
    (#""__metadata__":{"x":"\ud800"}"#, 0), (#""__metadata__":{"x":"\ud800\u0041"}"#, 0), ("", 1),
  ])
  func unsoundTablesAreRefused(items: String, data: Int) {
    expectRefusal(of: "{\(items)}", data: data)
  }

  @Test(arguments: [
    "", "{", " {}", "[]", #"{"a""#, #"{"a":{"#, "{} x", "{}}", #"{"__metadata__":{"x":"\u12"#, #"{"a\"#,
    "{\"a\nb\":{}}",
  ])
  func unsoundTextIsRefused(json: String) {
    expectRefusal(of: json, data: 0)
  }

  private static func entry(_ name: String, _ shape: String, _ begin: Int, _ end: Int) -> String {
    #""\#(name)":{"dtype":"U8","shape":\#(shape),"data_offsets":[\#(begin),\#(end)]}"#
  }

  private func expectRefusal(of json: String, data: Int) {
    let folder = TestFolder()
    let path = folder.put("bad", file(json, data: data))
    let error = failure { _ = try SafetensorsReader(path: path) }
    #expect(error?.exitCode == 65)
    #expect(error?.message.hasPrefix("\(path): byte ") == true, "\(String(describing: error))")
  }

  @Test func impossibleLengthsAreRefused() {
    let folder = TestFolder()
    for (name, bytes) in [
      ("empty", []), ("seven", [UInt8](repeating: 1, count: 7)),
      ("beyond", file("{}", data: 0, length: 3)), ("huge", file("{}", data: 0, length: .max)),
      ("over", file("{}", data: 0, length: 100_000_001)), ("none", file("", data: 0)),
    ] {
      let path = folder.put(name, bytes)
      #expect(failure { _ = try SafetensorsReader(path: path) }?.exitCode == 65, "\(name)")
    }
  }

  @Test func soundOddHeadersAreRead() throws {
    let folder = TestFolder()
    let json = #"{ "\u0061\ud83d\ude00" : { "shape" : [ ] , "data_offsets":[0,8],"dtype":"I64"} }"# + "\n "
    let path = folder.put("odd", file(json, data: 8))
    let reader = try SafetensorsReader(path: path)
    #expect(reader.entries.first?.name == "a😀")
    #expect(reader.entries.first?.elementCount == 1)
    #expect(try SafetensorsReader(path: folder.put("void", file("{}", data: 0))).entries.isEmpty)
  }

  /// Every truncation and every changed byte of a small file is read or refused, and never a trap.
  @Test func damageNeverTraps() throws {
    let folder = TestFolder()
    let sound = file(
      #"{"__metadata__":{"k":"v\n"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#, data: 8)
    for length in 0..<sound.count {
      let path = folder.put("cut", Array(sound[..<length]))
      #expect(failure { _ = try SafetensorsReader(path: path) }?.exitCode == 65)
    }
    let header = Array(sound[8..<sound.count - 8])
    for position in header.indices {
      for value in UInt8.min...UInt8.max {
        var bytes = header
        bytes[position] = value
        let error = failure { _ = try SafetensorsHeader(bytes, dataBytes: 8, path: "flip") }
        #expect(error == nil || error?.exitCode == 65)
      }
    }
  }

  @Test func digestSeesEveryBitAndNoOrder() throws {
    var values: [Float] = [1, 2, 3, 0]
    func digest(_ shape: [Int] = [4], reversed: Bool = false) throws -> String {
      try values.withUnsafeBufferPointer { values in
        let tensors = [
          TensorToWrite(name: "a", shape: shape, floats: values),
          TensorToWrite(name: "b", shape: shape, floats: values),
        ]
        return try SafetensorsWriter.digest(
          of: reversed ? tensors.reversed() : tensors, through: TransferBuffer(ledger: MemoryLedger()))
      }
    }
    let first = try digest()
    #expect(first.count == 64)
    #expect(try digest(reversed: true) == first)
    #expect(try digest([2, 2]) != first)
    values[3] = -0.0
    #expect(try digest() != first)
  }
}
