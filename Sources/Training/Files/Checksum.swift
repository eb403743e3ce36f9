/// A running XXH64 with seed 0 (Collet): finds bytes that have changed by accident, at the speed of memory. It is no proof
/// against somebody who changes them on purpose.
package struct Checksum {
  private static let primes: (UInt64, UInt64, UInt64, UInt64, UInt64) = (
    0x9E37_79B1_85EB_CA87, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9, 0x85EB_CA77_C2B2_AE63,
    0x27D4_EB2F_1656_67C5
  )
  private static let stripe = 32

  private var lanes: (UInt64, UInt64, UInt64, UInt64) = (
    primes.0 &+ primes.1, primes.1, 0, 0 &- primes.0
  )
  /// The last bytes, which make no stripe yet.
  private var pending = [UInt8]()
  private var byteCount: UInt64 = 0

  package init() {}

  /// The checksum of one piece.
  package static func of(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var checksum = Checksum()
    checksum.add(bytes)
    return checksum.value
  }

  /// Takes in more bytes.
  package mutating func add(_ bytes: UnsafeRawBufferPointer) {
    byteCount &+= UInt64(bytes.count)
    var start = 0
    if !pending.isEmpty {
      start = min(Self.stripe - pending.count, bytes.count)
      pending += bytes[..<start]
      if pending.count < Self.stripe { return }
      let filled = pending
      filled.withUnsafeBytes { addStripes($0) }
      pending.removeAll(keepingCapacity: true)
    }
    let whole = (bytes.count - start) / Self.stripe * Self.stripe
    addStripes(UnsafeRawBufferPointer(rebasing: bytes[start..<start + whole]))
    pending += bytes[(start + whole)...]
  }

  private mutating func addStripes(_ bytes: UnsafeRawBufferPointer) {
    guard var place = bytes.baseAddress else { return }
    let end = place + bytes.count
    var (a, b, c, d) = lanes
    while place < end {
      a = Self.round(a, Self.word(place))
      b = Self.round(b, Self.word(place + 8))
      c = Self.round(c, Self.word(place + 16))
      d = Self.round(d, Self.word(place + 24))
      place += Self.stripe
    }
    lanes = (a, b, c, d)
  }

  /// Of all that was taken in so far; more may follow.
  package var value: UInt64 {
    var hash = byteCount &+ (byteCount < UInt64(Self.stripe) ? Self.primes.4 : ofLanes)
    pending.withUnsafeBytes { rest in
      var offset = 0
      while offset + 8 <= rest.count {
        hash ^= Self.round(0, Self.word(rest.baseAddress! + offset))
        hash = Self.rotated(hash, 27) &* Self.primes.0 &+ Self.primes.3
        offset += 8
      }
      if offset + 4 <= rest.count {
        let half = UInt32(littleEndian: rest.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        hash ^= UInt64(half) &* Self.primes.0
        hash = Self.rotated(hash, 23) &* Self.primes.1 &+ Self.primes.2
        offset += 4
      }
      for byte in rest[offset...] {
        hash = Self.rotated(hash ^ UInt64(byte) &* Self.primes.4, 11) &* Self.primes.0
      }
    }
    hash = (hash ^ hash >> 33) &* Self.primes.1
    hash = (hash ^ hash >> 29) &* Self.primes.2
    return hash ^ hash >> 32
  }

  private var ofLanes: UInt64 {
    let (a, b, c, d) = lanes
    var hash =
      Self.rotated(a, 1) &+ Self.rotated(b, 7) &+ Self.rotated(c, 12) &+ Self.rotated(d, 18)
    for lane in [a, b, c, d] {
      hash = (hash ^ Self.round(0, lane)) &* Self.primes.0 &+ Self.primes.3
    }
    return hash
  }

  @inline(__always)
  private static func round(_ lane: UInt64, _ word: UInt64) -> UInt64 {
    rotated(lane &+ word &* primes.1, 31) &* primes.0
  }

  @inline(__always)
  private static func word(_ place: UnsafeRawPointer) -> UInt64 {
    UInt64(littleEndian: place.loadUnaligned(as: UInt64.self))
  }

  @inline(__always)
  private static func rotated(_ word: UInt64, _ bits: UInt64) -> UInt64 {
    word &<< bits | word &>> (64 - bits)
  }
}
