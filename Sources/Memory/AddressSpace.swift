import Glibc

/// What the system would not give although the run asks for no more than it may: memory, a thread, a library.
public struct SystemRefusal: Error, CustomStringConvertible, Sendable {
  /// One sentence: what was refused, and what to do.
  public let wording: Wording

  /// - Parameter wording: one sentence.
  public init(_ wording: Wording) {
    self.wording = wording
  }

  /// The sentence with settings under their properties' names.
  public var description: String { wording.description }

  /// The sentence, with every setting under the name that `name` has for it.
  public func text(naming name: (Setting) -> String) -> String { wording.text(naming: name) }
}

/// Whether the system would still map memory. `ulimit -v` and strict overcommit refuse; what Swift allocates by itself cannot
/// be refused without the end of the program, and so is asked for beforehand.
public enum AddressSpace {
  /// Bytes that are kept free for the many small allocations that nobody counts.
  public static let slack = 24 << 20

  /// Whether `count` mappings of `bytes` could all be had now. Nothing is touched, and all is given back.
  public static func isFree(_ bytes: Int, count: Int = 1) -> Bool {
    var mapped: [(start: UnsafeMutableRawPointer, bytes: Int)] = []
    mapped.reserveCapacity(count)
    defer { for piece in mapped { munmap(piece.start, piece.bytes) } }
    for _ in 0..<count {
      let start = mmap(nil, max(bytes, 1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      guard let start, start != MAP_FAILED else { return false }
      mapped.append((start, max(bytes, 1)))
    }
    return true
  }

  /// - Throws: a sentence if the system would refuse `slack` bytes beyond what is held.
  public static func requireSlack() throws(SystemRefusal) {
    guard isFree(slack) else {
      throw SystemRefusal(
        "the system gives this process no \(ByteSize.formatted(slack)) more of address space; raise its limit (ulimit -v)"
      )
    }
  }
}
