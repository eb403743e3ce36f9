import Glibc

/// Owned, zeroed, 64-byte aligned memory for plain values, charged to a ledger for as long as it lives.
///
/// The bytes charged are the bytes allocated: `byteCount(for:)`, the size of the elements rounded up to whole cache lines.
public struct Buffer<Element: BitwiseCopyable>: ~Copyable, @unchecked Sendable {
  /// The alignment, and the granularity of the size: one cache line, one AVX-512 vector.
  public static var alignment: Int { 64 }

  /// The first element. It must not outlive the buffer.
  @usableFromInline package let pointer: UnsafeMutablePointer<Element>
  /// Elements.
  public let count: Int
  /// What the ledger is charged for.
  public let category: MemoryCategory
  private let ledger: MemoryLedger

  /// Bytes from which on a buffer is asked for before it is taken: below, that would cost more than it tells.
  private static var large: Int { 1 << 20 }

  /// The bytes that a buffer of `count` elements reserves.
  public static func byteCount(for count: Int) -> Int {
    (count * MemoryLayout<Element>.stride + alignment - 1) / alignment * alignment
  }

  /// Reserves, allocates and zeroes room for `count` elements.
  /// - Parameters:
  ///   - purpose: ends a sentence, as in "no memory for the parameters".
  ///   - ledger: charged until the buffer ends.
  /// - Throws: `MemoryError`, if the ledger's budget or the system does not allow it.
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

  /// All elements, without bounds in release builds. It must not outlive the buffer.
  @inlinable package var elements: UnsafeMutableBufferPointer<Element> {
    UnsafeMutableBufferPointer(start: pointer, count: count)
  }

  /// 0 ..< count
  public var indices: Range<Int> { 0..<count }

  /// An element; the index is checked. Not for inner loops: those take a span once.
  @inlinable public subscript(index: Int) -> Element {
    get {
      precondition(index >= 0 && index < count, "an index outside the buffer")
      return pointer[index]
    }
    nonmutating set {
      precondition(index >= 0 && index < count, "an index outside the buffer")
      pointer[index] = newValue
    }
  }

  /// Lends all elements for reading. Nobody may write to them meanwhile.
  public func withSpan<Result, Failure: Error>(
    _ body: (Span<Element>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(UnsafeBufferPointer(elements).span)
  }

  /// Lends all elements for writing. Nobody else may read or write them meanwhile.
  public func withMutableSpan<Result, Failure: Error>(
    _ body: (inout MutableSpan<Element>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    var span = elements.mutableSpan
    return try body(&span)
  }
}
