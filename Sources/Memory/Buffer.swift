import Glibc

/// Owned, zeroed, 64-byte aligned memory for plain values, charged to a ledger for as long as it lives.
///
/// The bytes charged are the bytes allocated: `byteCount(for:)`, the size of the elements rounded up to whole cache lines.
public struct Buffer<Element: BitwiseCopyable>: ~Copyable, @unchecked Sendable {
  /// The alignment, and the granularity of the size: one cache line, one AVX-512 vector.
  public static var alignment: Int { 64 }

  /// The first element. It must not outlive the buffer.
  public let pointer: UnsafeMutablePointer<Element>
  public let count: Int
  public let category: MemoryCategory
  private let ledger: MemoryLedger

  /// Bytes from which on a buffer is asked for before it is taken: below, that would cost more than it tells.
  private static var large: Int { 1 << 20 }

  /// The bytes that a buffer of `count` elements reserves.
  public static func byteCount(for count: Int) -> Int {
    (count * MemoryLayout<Element>.stride + alignment - 1) / alignment * alignment
  }

  /// Reserves, allocates and zeroes room for `count` elements.
  public init(
    count: Int, _ category: MemoryCategory, for purpose: String, ledger: MemoryLedger
  ) throws(MemoryError) {
    precondition(count >= 0, "a buffer of \(count) elements for \(purpose)")
    let bytes = Self.byteCount(for: count)
    try ledger.reserve(bytes, category, for: purpose)
    // A large one must not take the last that Swift's own allocations live on.
    let leavesSlack = bytes < Self.large || AddressSpace.isFree(bytes + AddressSpace.slack)
    guard leavesSlack, let memory = aligned_alloc(Self.alignment, max(bytes, Self.alignment)) else {
      ledger.release(bytes, category)
      throw .exhausted(purpose: purpose, bytes: bytes)
    }
    memset(memory, 0, max(bytes, Self.alignment))
    self.pointer = memory.bindMemory(to: Element.self, capacity: count)
    self.count = count
    self.category = category
    self.ledger = ledger
  }

  deinit {
    free(pointer)
    ledger.release(Self.byteCount(for: count), category)
  }

  /// All elements; take `.span` or `.mutableSpan` of it where bounds are to be checked.
  public var elements: UnsafeMutableBufferPointer<Element> {
    UnsafeMutableBufferPointer(start: pointer, count: count)
  }

  public subscript(index: Int) -> Element {
    get {
      assert(index >= 0 && index < count, "element \(index) of \(count)")
      return pointer[index]
    }
    nonmutating set {
      assert(index >= 0 && index < count, "element \(index) of \(count)")
      pointer[index] = newValue
    }
  }
}
