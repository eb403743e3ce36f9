/// The first bytes of a frame, as far as they can be understood without decoding.
enum FrameHead: Equatable {
  /// `length` is that of the header; sizes are in bytes.
  case zstd(length: Int, window: Int, contentSize: Int?, checksum: Bool, dictionary: Bool)
  case lz4(LZ4Head)
  /// The size of the whole frame.
  case skippable(size: Int)
  case legacyLZ4
  case unknown
  /// What is there could become a frame; more bytes are needed to tell.
  case incomplete

  struct LZ4Head: Equatable {
    var length: Int
    var blockSize: Int
    var blockChecksums: Bool
    var contentSize: Int?
    var contentChecksum: Bool
    var dictionary: Bool
    /// Version, reserved bits and header checksum are right. The magic alone could be two tokens.
    var valid: Bool
  }

  /// No header is longer.
  static let maxLength = 19

  private static let zstdMagic: UInt64 = 0xFD2F_B528
  private static let lz4Magic: UInt64 = 0x184D_2204
  private static let legacyMagic: UInt64 = 0x184C_2102

  init(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= 4 else {
      self = Self.couldBeMagic(bytes) ? .incomplete : .unknown
      return
    }
    switch bytes.littleEndian(4, at: 0) {
    case Self.zstdMagic: self = Self.zstd(bytes)
    case Self.lz4Magic: self = Self.lz4(bytes)
    case Self.legacyMagic: self = .legacyLZ4
    case 0x184D_2A50...0x184D_2A5F:
      self = bytes.count < 8 ? .incomplete : .skippable(size: 8 + Int(bytes.littleEndian(4, at: 4)))
    default: self = .unknown
    }
  }

  private static func couldBeMagic(_ bytes: UnsafeRawBufferPointer) -> Bool {
    if bytes.isEmpty { return true }
    let mask = (UInt64(1) << UInt64(8 * bytes.count)) - 1
    let start = bytes.littleEndian(bytes.count, at: 0)
    if [zstdMagic, lz4Magic, legacyMagic].contains(where: { $0 & mask == start }) { return true }
    return (0...15).contains { (0x184D_2A50 + $0) & mask == start }
  }

  private static func zstd(_ bytes: UnsafeRawBufferPointer) -> FrameHead {
    guard bytes.count >= 5 else { return .incomplete }
    let flags = bytes[4]
    let single = flags & 0x20 != 0
    let dictionaryBytes = [0, 1, 2, 4][Int(flags & 3)]
    let sizeBytes = [single ? 1 : 0, 2, 4, 8][Int(flags >> 6)]
    let windowBytes = single ? 0 : 1
    let length = 5 + windowBytes + dictionaryBytes + sizeBytes
    guard bytes.count >= length else { return .incomplete }

    var contentSize: Int?
    if sizeBytes > 0 {
      let stored = bytes.littleEndian(sizeBytes, at: length - sizeBytes)
      // What no file can hold is kept below 2^60, so that sums of sizes cannot overflow.
      contentSize = Int(min(stored + (sizeBytes == 2 ? 256 : 0), 1 << 60))
    }
    var window = contentSize ?? 0
    if !single {
      let base = 1 << (10 + Int(bytes[5] >> 3))
      window = base + base / 8 * Int(bytes[5] & 7)
    }
    return .zstd(
      length: length, window: max(window, 1024), contentSize: contentSize, checksum: flags & 4 != 0,
      dictionary: dictionaryBytes > 0 && bytes.littleEndian(dictionaryBytes, at: 5 + windowBytes) != 0)
  }

  private static func lz4(_ bytes: UnsafeRawBufferPointer) -> FrameHead {
    guard bytes.count >= 7 else { return .incomplete }
    let flags = bytes[4]
    let descriptor = bytes[5]
    let sizeBytes = flags & 0x08 != 0 ? 8 : 0
    let dictionaryBytes = flags & 0x01 != 0 ? 4 : 0
    let length = 7 + sizeBytes + dictionaryBytes
    guard bytes.count >= length else { return .incomplete }
    let code = Int(descriptor >> 4) & 7
    let hash = shortXXH32(UnsafeRawBufferPointer(rebasing: bytes[4..<(length - 1)]))
    let valid =
      flags >> 6 == 1 && flags & 0x02 == 0 && descriptor & 0x8F == 0 && code >= 4
      && UInt8(truncatingIfNeeded: hash >> 8) == bytes[length - 1]
    return .lz4(
      LZ4Head(
        length: length, blockSize: 1 << (8 + 2 * max(code, 4)), blockChecksums: flags & 0x10 != 0,
        contentSize: sizeBytes > 0 ? Int(min(bytes.littleEndian(8, at: 6), 1 << 60)) : nil,
        contentChecksum: flags & 0x04 != 0, dictionary: dictionaryBytes > 0, valid: valid))
  }
}
