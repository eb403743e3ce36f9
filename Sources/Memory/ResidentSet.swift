import Glibc

/// What the kernel says this process holds in memory.
public struct ResidentSet: Equatable, Sendable {
  /// Bytes resident now (`VmRSS`).
  public var current: Int
  /// The most bytes ever resident (`VmHWM`), never below `current`: the kernel updates it late.
  public var peak: Int

  /// Reads `/proc/self/status`; nil where there is none.
  public static func read() -> ResidentSet? {
    let file = open("/proc/self/status", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    return withUnsafeTemporaryAllocation(byteCount: 8192, alignment: 1) { bytes in
      let count = Glibc.read(file, bytes.baseAddress, bytes.count)
      guard count > 0, let current = kibibytes("VmRSS:", in: bytes[..<count]),
        let peak = kibibytes("VmHWM:", in: bytes[..<count])
      else { return nil }
      return ResidentSet(current: current * 1024, peak: max(peak, current) * 1024)
    }
  }

  /// The number that follows `key`, without allocating: this runs at every progress line.
  private static func kibibytes(_ key: StaticString, in text: Slice<UnsafeMutableRawBufferPointer>) -> Int? {
    let pattern = UnsafeBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount)
    var start = text.startIndex
    while start + pattern.count <= text.endIndex {
      if text[start..<start + pattern.count].elementsEqual(pattern) {
        var value = 0
        for byte in text[(start + pattern.count)...] {
          if byte >= 0x30 && byte <= 0x39 {
            value = value * 10 + Int(byte - 0x30)
          } else if byte != 0x20 && byte != 0x09 {
            return value
          }
        }
        return value
      }
      start += 1
    }
    return nil
  }
}
