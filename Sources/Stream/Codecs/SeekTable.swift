/// The table in the last, skippable frame of a file in zstd's seekable format. It stays in the file.
struct SeekTable {
  let count: Int
  private let start: Int
  private let entryBytes: Int

  /// nil if the file has none, or one that does not cover the file exactly: then it is not to be trusted.
  init?(_ input: InputFile) throws(StreamError) {
    guard input.size >= 17, try input.integer(4, at: input.size - 4) == 0x8F92_EAB1,
      let count = try input.integer(4, at: input.size - 9),
      let descriptor = try input.integer(1, at: input.size - 5), descriptor & 0x7C == 0
    else { return nil }
    entryBytes = descriptor & 0x80 != 0 ? 12 : 8
    self.count = count
    start = input.size - 9 - count * entryBytes
    guard start >= 8, try input.integer(4, at: start - 8) == 0x184D_2A5E,
      try input.integer(4, at: start - 4) == count * entryBytes + 9,
      try compressedBytes(input) == start - 8
    else { return nil }
  }

  /// The stored and the decoded size of a frame.
  func entry(_ number: Int, of input: InputFile) throws(StreamError) -> (Int, Int)? {
    guard let compressed = try input.integer(4, at: start + number * entryBytes),
      let size = try input.integer(4, at: start + number * entryBytes + 4)
    else { return nil }
    return (compressed, size)
  }

  private func compressedBytes(_ input: InputFile) throws(StreamError) -> Int? {
    var sum = 0
    for number in 0..<count {
      guard let (compressed, _) = try entry(number, of: input) else { return nil }
      sum += compressed
    }
    return sum
  }
}
