/// FNV-1a, 64 bits: its whole state is one integer, so that a running digest can be stored and gone on with.
struct Digest: Equatable {
  private(set) var value: UInt64

  init(value: UInt64 = 0xcbf2_9ce4_8422_2325) {
    self.value = value
  }

  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
  }

  /// Adds the low `width` bytes, little-endian.
  mutating func add(_ integer: UInt64, width: Int = 8) {
    var rest = integer
    for _ in 0..<width {
      value = (value ^ (rest & 0xff)) &* 0x100_0000_01b3
      rest >>= 8
    }
  }
}

/// XXH32 with seed 0 of fewer than 16 bytes: the checksum in the header of an lz4 frame.
func shortXXH32(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
  precondition(bytes.count < 16, "the short form of XXH32 was given \(bytes.count) bytes")
  let (p1, p2, p3, p4, p5): (UInt32, UInt32, UInt32, UInt32, UInt32) = (
    2_654_435_761, 2_246_822_519, 3_266_489_917, 668_265_263, 374_761_393
  )
  func rotate(_ x: UInt32, _ by: UInt32) -> UInt32 { (x << by) | (x >> (32 - by)) }
  var hash = p5 &+ UInt32(bytes.count)
  var index = 0
  while index + 4 <= bytes.count {
    hash = rotate(hash &+ UInt32(truncatingIfNeeded: bytes.littleEndian(4, at: index)) &* p3, 17) &* p4
    index += 4
  }
  while index < bytes.count {
    hash = rotate(hash &+ UInt32(bytes[index]) &* p5, 11) &* p1
    index += 1
  }
  hash = (hash ^ (hash >> 15)) &* p2
  hash = (hash ^ (hash >> 13)) &* p3
  return hash ^ (hash >> 16)
}

extension UnsafeRawBufferPointer {
  /// The unsigned integer of `width` bytes at `offset`; the caller has checked that they are there.
  func littleEndian(_ width: Int, at offset: Int) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<width { value |= UInt64(self[offset + index]) << UInt64(8 * index) }
    return value
  }
}
