/// The identity of a pipe: a running digest of the first mebibyte of token bytes that were consumed.
struct PipeDigest {
  static let limit = 1 << 20

  private let type: TokenType
  private var digest: Digest
  private var bytes: Int

  /// - Parameter identity: of the tokens consumed so far; nil: none.
  init(type: TokenType, identity: DataIdentity? = nil) {
    self.type = type
    digest = identity.map { Digest(value: $0.digest) } ?? Digest()
    bytes = identity?.bytes ?? 0
  }

  var identity: DataIdentity { DataIdentity(bytes: bytes, files: 0, digest: digest.value) }

  mutating func add(_ more: UnsafeRawBufferPointer) {
    let count = min(more.count, Self.limit - bytes)
    guard count > 0 else { return }
    digest.add(UnsafeRawBufferPointer(rebasing: more[..<count]))
    bytes += count
  }

  mutating func add(_ tokens: UnsafePointer<UInt32>, count: Int) {
    let count = min(count, type.tokens(in: Self.limit - bytes))
    guard count > 0 else { return }
    for index in 0..<count {
      // As it was stored: a mark is the highest bit of the type.
      let stored = UInt64(tokens[index] & 0x7fff_ffff) | UInt64(tokens[index] >> 31) << (8 * type.width - 1)
      digest.add(stored, width: type.width)
    }
    bytes += type.bytes(of: count)
  }
}
