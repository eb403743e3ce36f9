import Foundation
import LongzooMemory

/// Reads `replay.log`, record by record, up to its end or to the first one that is not whole.
package final class ReplayReader {
  package struct Record {
    package var step: Int
    package var flags: ReplayFormat.Flags
    package var rate: Float
    /// What stands behind the head of the payload.
    package var rest: [UInt8]
  }

  package let path: String
  package let plan: RunPlan
  /// Windows that had ended when the log was begun.
  package let firstStep: Int
  /// Behind the last record that was read.
  package private(set) var offset: Int
  private let file: UnsafeMutablePointer<FILE>
  /// Bytes of a payload at most: no record of the run is longer.
  private let longest: Int

  /// - Throws: exit code 66 if there is none, 65 if it is not a replay log.
  package init(path: String) throws {
    guard let descriptor = try RegularFile.open(path, O_RDONLY, followsLinks: true) else {
      throw RunFailure.missingInput(
        "cannot open \(path): \(RunFailure.reason(ENOENT)); was the run made with \(.replayLog)?")
    }
    guard let file = fdopen(descriptor, "r") else { throw RunFailure.system("read", path, errno: errno) }
    self.file = file
    self.path = path
    do throws(RunFailure) {
      (plan, firstStep, offset) = try Self.header(file, path)
    } catch {
      fclose(file)
      throw error
    }
    longest = ReplayFormat.mostPayload(plan)
  }

  private static func header(
    _ file: UnsafeMutablePointer<FILE>, _ path: String
  ) throws(RunFailure) -> (plan: RunPlan, firstStep: Int, length: Int) {
    let fixed = ReplayFormat.magic.count + 16
    guard let head = read(file, fixed), Array(head[..<8]) == ReplayFormat.magic,
      integer(head, 8, UInt32.self) == ReplayFormat.version
    else { throw .badData("\(path) is no replay log that this version of longzoo can read") }
    let length = Int(integer(head, 20, UInt32.self))
    guard length < 1 << 20, let json = read(file, length) else {
      throw .badData(
        "\(path): the configuration of \(length) bytes that it begins with is not there; the file is damaged")
    }
    let fields = DecodedFields(file: path)
    var plan = try fields.decode(RunPlan.self, from: Data(json))
    plan.run.replayLog = true
    try plan.checkDecoded(fields)
    let first = Int(exactly: integer(head, 12, UInt64.self)) ?? .max
    try fields.count(first, "the first step")
    return (plan, first, fixed + length)
  }

  deinit { fclose(file) }

  /// nil at the end of what is whole.
  package func next() throws -> Record? {
    guard let head = Self.read(file, ReplayFormat.headOfRecord) else { return nil }
    let length = Int(Self.integer(head, 0, UInt32.self))
    guard (ReplayFormat.headOfPayload...longest).contains(length), let payload = Self.read(file, length)
    else { return nil }
    guard payload.withUnsafeBytes({ ReplayFormat.check($0) }) == Self.integer(head, 4, UInt32.self) else {
      return nil
    }
    offset += ReplayFormat.headOfRecord + length
    return Record(
      step: Int(truncatingIfNeeded: Self.integer(payload, 0, UInt64.self)),
      flags: .init(rawValue: payload[8]),
      rate: Float(bitPattern: Self.integer(payload, 9, UInt32.self)),
      rest: Array(payload[ReplayFormat.headOfPayload...]))
  }

  /// nil if there are fewer bytes; in pieces, since a length that is wrong may be anything.
  private static func read(_ file: UnsafeMutablePointer<FILE>, _ count: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    while bytes.count < count {
      let wanted = min(count - bytes.count, 1 << 20)
      let piece = [UInt8](unsafeUninitializedCapacity: wanted) { room, got in
        got = fread(room.baseAddress, 1, wanted, file)
      }
      if piece.isEmpty { return nil }
      bytes += piece
    }
    return bytes
  }

  package static func integer<T: FixedWidthInteger>(_ bytes: [UInt8], _ offset: Int, _: T.Type) -> T {
    bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
  }
}
