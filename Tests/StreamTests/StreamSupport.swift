import CLongzooLZ4
import CLongzooZstd
import Glibc
import LongzooMemory
import Testing

@testable import LongzooStream

/// A folder that goes away with its owner.
final class Folder {
  let path: String

  init() {
    var template = Array("/tmp/longzoo-stream-XXXXXX".utf8CString)
    path = String(cString: mkdtemp(&template))
  }

  deinit {
    if let listing = opendir(path) {
      while let entry = readdir(listing) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) {
          String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        unlink("\(path)/\(name)")
      }
      closedir(listing)
    }
    rmdir(path)
  }

  @discardableResult
  func write(_ bytes: [UInt8], _ name: String) -> String {
    let file = "\(path)/\(name)"
    let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    writeAll(bytes, to: descriptor)
    close(descriptor)
    return file
  }
}

func writeAll(_ bytes: some Collection<UInt8>, to descriptor: Int32) {
  var rest = Array(bytes)[...]
  while !rest.isEmpty {
    let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    if count <= 0 { return }
    rest = rest.dropFirst(count)
  }
}

/// Reproducible tokens below `vocabulary`, compressible but not constant.
func makeTokens(_ count: Int, vocabulary: Int = 256, seed: UInt64 = 1) -> [UInt32] {
  var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
  var last: UInt32 = 0
  return (0..<count).map { _ in
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    if state >> 62 != 0 { last = UInt32((state >> 33) % UInt64(vocabulary)) }
    return last
  }
}

extension [UInt32] {
  func bytes(_ type: TokenType) -> [UInt8] {
    flatMap { token in (0..<type.width).map { UInt8(truncatingIfNeeded: token >> UInt32(8 * $0)) } }
  }
}

// MARK: Compressors

struct ZstdOptions {
  var checksum = true
  var contentSize = true
  var windowLog: Int32 = 0
  var level: Int32 = 1
}

func zstdFrame(_ bytes: [UInt8], _ options: ZstdOptions = ZstdOptions()) -> [UInt8] {
  let context = ZSTD_createCCtx()
  defer { ZSTD_freeCCtx(context) }
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, options.level)
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, options.checksum ? 1 : 0)
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, options.contentSize ? 1 : 0)
  if options.windowLog > 0 { ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, options.windowLog) }
  var out = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count) + 64)
  let count: Int
  if options.contentSize {
    count = ZSTD_compress2(context, &out, out.count, bytes, bytes.count)
  } else {
    // A first piece without the end keeps the size unknown, and the window as it was asked for.
    count = bytes.withUnsafeBytes { source in
      out.withUnsafeMutableBytes { target in
        var output = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
        var input = ZSTD_inBuffer(src: source.baseAddress, size: source.count / 2, pos: 0)
        ZSTD_compressStream2(context, &output, &input, ZSTD_e_continue)
        input.size = source.count
        ZSTD_compressStream2(context, &output, &input, ZSTD_e_end)
        return output.pos
      }
    }
  }
  precondition(ZSTD_isError(count) == 0)
  return Array(out[..<count])
}

struct LZ4Options {
  var checksum = true
  var blockChecksum = false
  var contentSize = false
  var linked = true
}

func lz4Frame(_ bytes: [UInt8], _ options: LZ4Options = LZ4Options()) -> [UInt8] {
  var preferences = LZ4F_preferences_t()
  preferences.frameInfo.contentChecksumFlag =
    options.checksum ? LZ4F_contentChecksumEnabled : LZ4F_noContentChecksum
  preferences.frameInfo.blockChecksumFlag =
    options.blockChecksum ? LZ4F_blockChecksumEnabled : LZ4F_noBlockChecksum
  preferences.frameInfo.blockMode = options.linked ? LZ4F_blockLinked : LZ4F_blockIndependent
  preferences.frameInfo.blockSizeID = LZ4F_max64KB
  preferences.frameInfo.contentSize = options.contentSize ? UInt64(bytes.count) : 0
  var out = [UInt8](repeating: 0, count: LZ4F_compressFrameBound(bytes.count, &preferences))
  let count = LZ4F_compressFrame(&out, out.count, bytes, bytes.count, &preferences)
  precondition(LZ4F_isError(count) == 0)
  return Array(out[..<count])
}

func skippable(_ size: Int, nibble: UInt8 = 0) -> [UInt8] {
  [0x50 + nibble, 0x2A, 0x4D, 0x18] + little(size, 4) + [UInt8](repeating: 0xAB, count: size)
}

func little(_ value: Int, _ width: Int) -> [UInt8] {
  (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}

/// `bytes` in frames of the given sizes (the last takes the rest).
func split(_ bytes: [UInt8], every size: Int) -> [[UInt8]] {
  stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min(bytes.count, $0 + size)]) }
}

/// zstd's seekable format: frames that do not name their size, and a table that does.
func seekable(_ parts: [[UInt8]]) -> [UInt8] {
  let frames = parts.map { zstdFrame($0, ZstdOptions(contentSize: false)) }
  let entries = zip(frames, parts).flatMap { little($0.count, 4) + little($1.count, 4) }
  let table = entries + little(parts.count, 4) + [0] + [0xB1, 0xEA, 0x92, 0x8F]
  return frames.flatMap { $0 } + [0x5E, 0x2A, 0x4D, 0x18] + little(table.count, 4) + table
}

// MARK: Reading

extension StreamConfiguration {
  init(_ paths: [String], _ type: TokenType = .u8, streams: Int = 1, chunk: Int = 64) {
    self.init(DataConfiguration(), streams: streams, chunkTokens: chunk)
    (self.paths, self.tokenType) = (paths, type)
    if type != .u8 { self.vocabularySize = 5000 }
  }
}

extension TokenFeed {
  /// One call: a row for each stream.
  func rows(_ count: Int, chunk: Int = 64) throws(StreamError) -> [[UInt32]] {
    var memory = [UInt32](repeating: .max, count: streams * (chunk + 1))
    var span = memory.mutableSpan
    let got = try next(count, into: &span)
    if got == 0 { return [] }
    return (0..<streams).map { Array(memory[($0 * (chunk + 1))...].prefix(got + 1)) }
  }

  /// `pairs` pairs in pieces of `count`, or fewer at the end: the tokens of every stream, from the first input on.
  func collect(_ pairs: Int, by count: Int = 64) throws(StreamError) -> [[UInt32]] {
    var out = [[UInt32]](repeating: [], count: streams)
    var done = 0
    while done < pairs {
      let rows = try self.rows(min(count, pairs - done), chunk: 64)
      guard let first = rows.first else { break }
      for (stream, row) in rows.enumerated() {
        if let last = out[stream].last {
          #expect(last == row[0], "a row begins with the last token of the row before")
          out[stream] += row.dropFirst()
        } else {
          out[stream] = row
        }
      }
      done += first.count - 1
    }
    return out
  }
}

/// What stream `s` must deliver, from pair `from` on.
func expected(_ region: [UInt32], stream: Int, of streams: Int, pairs: Int, from: Int = 0) -> [UInt32] {
  let start = stream * region.count / streams
  return (0...pairs).map { region[(start + from + $0) % region.count] }
}

/// Reads a feed for a whole pass; nil if it is an error, which must be of the given code.
func readAll(
  _ configuration: StreamConfiguration, pairs: Int, code: StreamError.Kind = .badData
) -> [[UInt32]]? {
  do throws(StreamError) {
    return try TokenFeed(configuration, ledger: MemoryLedger()).collect(pairs)
  } catch {
    #expect(error.kind == code, "\(error)")
    return nil
  }
}

/// The error of a feed, at opening or within `pairs` pairs.
func failure(_ configuration: StreamConfiguration, pairs: Int = 10_000) -> StreamError? {
  do throws(StreamError) {
    _ = try TokenFeed(configuration, ledger: MemoryLedger()).collect(pairs)
    return nil
  } catch {
    return error
  }
}

/// Writes to a pipe from a thread of its own, in pieces; then closes it.
struct PipeWriter {
  let readEnd: Int32

  init(_ bytes: [UInt8], pieces: [Int], pause: UInt32 = 0) {
    var ends: [Int32] = [0, 0]
    pipe(&ends)
    readEnd = ends[0]
    let writeEnd = ends[1]
    signal(SIGPIPE, SIG_IGN)
    detach {
      var offset = 0
      var turn = 0
      while offset < bytes.count {
        let count = min(bytes.count - offset, pieces[turn % pieces.count])
        writeAll(bytes[offset..<(offset + count)], to: writeEnd)
        offset += count
        turn += 1
        if pause > 0 { usleep(pause) }
      }
      close(writeEnd)
    }
  }
}

private final class Job {
  let work: @Sendable () -> Void
  init(_ work: @escaping @Sendable () -> Void) { self.work = work }
}

func detach(_ work: @escaping @Sendable () -> Void) {
  var thread = pthread_t()
  let job = Unmanaged.passRetained(Job(work)).toOpaque()
  pthread_create(
    &thread, nil,
    { argument in
      if let argument { Unmanaged<Job>.fromOpaque(argument).takeRetainedValue().work() }
      return nil
    }, job)
  pthread_detach(thread)
}
