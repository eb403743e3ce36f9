import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooStream

/// Writes `replay.log`. Records wait in a buffer of fixed size, and are on the disk before the checkpoint that follows them.
package final class ReplayLog {
  private let descriptor: Int32
  private let sink: FileSink
  private let descent: CDRGE
  private let pairs: Int
  private let streams: Int
  private let idWidth: Int
  private let buffer: Buffer<UInt8>
  private var filled = 0
  /// The chunks of the window that is under way, as they are written; nothing once they have become too long.
  private let chunks: Buffer<UInt8>
  private var chunkBytes = 0
  private var isTooLong = false

  package static func byteCount(_ c: RunPlan) -> Int {
    Buffer<UInt8>.byteCount(for: bufferBytes(c)) + Buffer<UInt8>.byteCount(for: wordBytes(c))
  }

  private static func wordBytes(_ c: RunPlan) -> Int { ReplayFormat.mostTokenBytes(c) }

  private static func bufferBytes(_ c: RunPlan) -> Int {
    max(1 << 18, ReplayFormat.headOfRecord + ReplayFormat.mostPayload(c))
  }

  /// The log of a run; nil where none is wanted.
  package static func make(
    _ c: RunPlan, _ model: any TrainingState, folder: RunFolder, step: Int, isResumedThere: Bool,
    ledger: MemoryLedger
  ) throws -> ReplayLog? {
    guard c.run.replayLog, let descent = model.estimator as? CDRGE else { return nil }
    return try ReplayLog(
      c, folder: folder, step: step, isResumedThere: isResumedThere, descent: descent, ledger: ledger)
  }

  /// - Parameter step: windows that have ended: 0 for a new run.
  /// - Throws: exit code 65 if a log in the folder does not reach up to the step that is resumed.
  package init(
    _ c: RunPlan, folder: RunFolder, step: Int, isResumedThere: Bool, descent: CDRGE,
    ledger: MemoryLedger
  ) throws {
    self.descent = descent
    (pairs, streams) = (c.estimator.pairs, c.streaming.streams)
    idWidth = ReplayFormat.width(vocabulary: c.data.vocabularySize)
    buffer = try Buffer(count: Self.bufferBytes(c), .checkpoint, for: "the replay log", ledger: ledger)
    chunks = try Buffer(count: Self.wordBytes(c), .checkpoint, for: "the replay log's tokens", ledger: ledger)
    let path = folder.replayPath
    let goesOn = isResumedThere && access(path, F_OK) == 0
    let end = goesOn ? try Self.end(of: path, step: step, c) : 0
    guard let opened = try RegularFile.open(path, O_WRONLY | O_CREAT) else {
      throw RunFailure.system("write", path, errno: ENOENT)
    }
    descriptor = opened
    sink = FileSink(descriptor: descriptor, path: path)
    guard ftruncate(descriptor, off_t(end)) == 0, lseek(descriptor, 0, SEEK_END) >= 0 else {
      throw RunFailure.system("write", path, errno: errno)
    }
    if !goesOn {
      let header = try ReplayFormat.header(c, firstStep: step)
      try header.withUnsafeBytes { try sink.write($0) }
    }
  }

  deinit { close(descriptor) }

  /// Where the records of later steps begin.
  private static func end(of path: String, step: Int, _ c: RunPlan) throws -> Int {
    let reader = try ReplayReader(path: path)
    guard reader.plan.run.identity == c.run.identity else {
      throw RunFailure.badData(
        "\(path) is the log of another run than the checkpoint; remove it, or resume into another \(.folder)")
    }
    if let difference = c.firstDifference(from: reader.plan, of: RunPlan.replayed) {
      throw RunFailure.usage(
        "\(difference.setting) cannot change in a run with \(.replayLog): the steps could not be made again; leave it out, or resume into another \(.folder)"
      )
    }
    var last = reader.firstStep
    var end = reader.offset
    while last < step, let record = try reader.next() {
      last = record.step
      end = reader.offset
    }
    guard last == step else {
      throw RunFailure.badData(
        "\(path) ends at step \(last), before the checkpoint's \(step); remove it, or resume into another \(.folder)"
      )
    }
    return end
  }

  // MARK: A window

  package func beginWindow() { (chunkBytes, isTooLong) = (0, false) }

  /// The inputs of a chunk.
  package func add(_ tokens: TokenBlock) {
    let count = tokens.count
    let bytes = 4 + streams * count * idWidth
    guard !isTooLong, chunkBytes + bytes <= chunks.count else {
      isTooLong = true
      return
    }
    var to = UnsafeMutableRawPointer(chunks.pointer + chunkBytes)
    to.storeBytes(of: UInt32(count).littleEndian, as: UInt32.self)
    to += 4
    for stream in 0..<streams {
      let row = tokens.row(stream)
      for i in 0..<count {
        let id = row[i] & TokenMark.id
        switch idWidth {
        case 1: to.storeBytes(of: UInt8(truncatingIfNeeded: id), as: UInt8.self)
        case 2: to.storeBytes(of: UInt16(truncatingIfNeeded: id).littleEndian, as: UInt16.self)
        default: to.storeBytes(of: id.littleEndian, as: UInt32.self)
        }
        to += idWidth
      }
    }
    chunkBytes += bytes
  }

  /// Ends a window.
  /// - Parameters:
  ///   - step: windows that have ended, with this one.
  ///   - rate: of its update; nil where there was none.
  package func endWindow(step: Int, rate: Float?, contextBegins: Bool) throws(RunFailure) {
    let words = descent.population.seen.count * 2
    let tokenBytes = isTooLong ? words : chunkBytes
    let payload = ReplayFormat.headOfPayload + (rate == nil ? 0 : 4 * pairs) + tokenBytes
    if filled + ReplayFormat.headOfRecord + payload > buffer.count { try flush() }
    let record = UnsafeMutableRawPointer(buffer.pointer + filled)
    let start = record + ReplayFormat.headOfRecord
    var flags: ReplayFormat.Flags = isTooLong ? .words : []
    if rate != nil { flags.insert(.updated) }
    if contextBegins { flags.insert(.contextBegins) }
    start.storeBytes(of: UInt64(step).littleEndian, as: UInt64.self)
    start.storeBytes(of: flags.rawValue, toByteOffset: 8, as: UInt8.self)
    start.storeBytes(of: (rate ?? 0).bitPattern.littleEndian, toByteOffset: 9, as: UInt32.self)
    var to = start + ReplayFormat.headOfPayload
    if rate != nil {
      to.copyMemory(from: descent.coefficientValues, byteCount: 4 * pairs)
      to += 4 * pairs
    }
    if isTooLong {
      to.copyMemory(from: descent.population.seen.pointer, byteCount: words)
    } else {
      to.copyMemory(from: chunks.pointer, byteCount: chunkBytes)
    }
    record.storeBytes(of: UInt32(payload).littleEndian, as: UInt32.self)
    record.storeBytes(
      of: ReplayFormat.check(UnsafeRawBufferPointer(start: start, count: payload)).littleEndian,
      toByteOffset: 4, as: UInt32.self)
    filled += ReplayFormat.headOfRecord + payload
  }

  /// Everything so far to the disk.
  /// - Throws: exit code 74.
  package func flush() throws(RunFailure) {
    try sink.write(UnsafeRawBufferPointer(start: buffer.pointer, count: filled))
    filled = 0
    guard fsync(descriptor) == 0 || errno == EINVAL else { throw .system("write", sink.path, errno: errno) }
  }
}
