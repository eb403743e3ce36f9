import Foundation
import LongzooMemory

/// Looks for data that is read in another width than it was written in, by where zeros lie in its first bytes.
///
/// An id needs fewer bits than its type has: so of 16-bit tokens every second byte is often zero, of 32-bit tokens the
/// fourth always. It is only a guess, and never more than a warning.
struct WidthGuess {
  /// No more is looked at, nor is anything said of less than 64.
  static let sampleBytes = 64 * 1024
  /// For statistics without zeros: two samples of half of it differ by a tenth by chance.
  private static let statisticBytes = 16 * 1024

  enum Finding: Equatable {
    case u16(largest: Int)
    case u32(largest: Int)
    case i64
    case bigEndian
  }

  private(set) var count = 0
  /// Bytes by their value, and by their place in two.
  private var histogram = [Int32](repeating: 0, count: 512)
  private var zeros = [Int](repeating: 0, count: 8)
  /// The last four bytes, and the largest numbers that two and four of them made.
  private var window: UInt32 = 0
  private var largest16: UInt32 = 0
  private var largest32: UInt32 = 0
  private var text = UTF8Watch()

  var isFull: Bool { count >= Self.sampleBytes }

  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    for byte in bytes.prefix(max(0, Self.sampleBytes - count)) {
      histogram[(count & 1) << 8 | Int(byte)] += 1
      if byte == 0 { zeros[count & 7] += 1 }
      window = window >> 8 | UInt32(byte) << 24
      if count & 1 == 1 { largest16 = max(largest16, window >> 16) }
      if count & 3 == 3 { largest32 = max(largest32, window) }
      text.add(byte)
      count += 1
    }
  }

  /// What the bytes look like, if that is not how they are read.
  func finding(readAs type: TokenType) -> Finding? {
    guard count >= 64 else { return nil }
    let shares = (0..<8).map { place in Double(zeros[place]) / Double((count - place + 7) / 8) }
    func areZero(_ places: [Int]) -> Bool { places.allSatisfy { shares[$0] > 0.9 } }
    func areNot(_ places: [Int]) -> Bool { places.allSatisfy { shares[$0] < 0.5 } }
    guard areNot([0]) else {
      return type == .u8 && areZero([0, 2, 4, 6]) && areNot([1, 3, 5, 7]) ? .bigEndian : nil
    }
    if areZero([3, 4, 5, 6, 7]) { return .i64 }
    if type != .u32, areZero([3, 7]), areNot([0, 4]), areZero([2, 6]) || areNot([1, 5]) {
      return .u32(largest: Int(largest32))
    }
    guard type == .u8 else { return nil }
    if areZero([1, 3, 5, 7]), areNot([0, 2, 4, 6]) { return .u16(largest: Int(largest16)) }
    return looksLikeManyIDs ? .u16(largest: Int(largest16)) : nil
  }

  /// Ids of tens of thousands have few zeros; but their low bytes are spread evenly and their high bytes are not.
  private var looksLikeManyIDs: Bool {
    guard count >= Self.statisticBytes, !text.isText else { return false }
    let (low, high) = (histogram[..<256], histogram[256...])
    let difference = zip(low, high).reduce(0) { $0 + Int(abs($1.0 - $1.1)) }
    return Double(difference) / Double(count) > 0.25 && Self.entropy(low) > Self.entropy(high) + 0.5
      && low.allSatisfy { $0 > 0 } && high.last == 0
  }

  private static func entropy(_ counts: ArraySlice<Int32>) -> Double {
    let sum = counts.reduce(0.0) { $0 + Double($1) }
    return counts.reduce(0.0) { $1 == 0 ? $0 : $0 - Double($1) / sum * log2(Double($1) / sum) }
  }
}

/// Whether bytes can be UTF-8, whatever they say.
private struct UTF8Watch {
  private(set) var isText = true
  private var rest = 0

  mutating func add(_ byte: UInt8) {
    if rest > 0 {
      if byte & 0xC0 != 0x80 { isText = false }
      rest -= 1
    } else if byte >= 0x80 {
      rest = byte >= 0xF0 ? 3 : byte >= 0xE0 ? 2 : 1
      if !(0xC2...0xF4).contains(byte) { isText = false }
    }
  }
}

extension WidthGuess.Finding {
  /// A sentence for the user.
  func warning(name: String, readAs type: TokenType) -> Wording {
    let start: Wording = "\(name): its bytes lie as those of"
    let end: Wording = "; \(.format) raw if it is meant as it is read now (\(type.rawValue))"
    switch self {
    case .u16(let largest):
      return
        "\(start) 16-bit tokens: \(.tokenType) u16 \(.vocabularySize) \(largest + 1) or more reads them as such\(end)"
    case .u32(let largest):
      return
        "\(start) 32-bit tokens: \(.tokenType) u32 \(.vocabularySize) \(largest + 1) or more reads them as such\(end)"
    case .i64:
      return "\(start) 64-bit integers, which numpy makes 32-bit tokens of: "
        + "np.fromfile('\(name)', '<i8').astype('<u4').tofile('ids.bin'), then \(.tokenType) u32 \(.vocabularySize) N\(end)"
    case .bigEndian:
      return "\(start) big-endian 16-bit tokens or UTF-16, and longzoo reads little-endian tokens and UTF-8: "
        + "convert it with dd conv=swab or with iconv -f UTF-16 -t UTF-8\(end)"
    }
  }
}
