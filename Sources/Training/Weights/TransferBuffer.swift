import LongzooMemory

/// The memory through which weights go to files and come from them: taken once, before a run begins, so that no save fails for
/// want of it, and no tensor is held twice.
package final class TransferBuffer {
  package static let byteCount = 1 << 20

  private let memory: Buffer<UInt8>

  package init(ledger: MemoryLedger) throws(MemoryError) {
    memory = try Buffer(
      count: Self.byteCount, .checkpoint, for: "reading and writing checkpoints", ledger: ledger)
  }

  package var bytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(memory.elements) }

  /// For what needs parts of two tensors at once.
  package var halves: (UnsafeMutableRawBufferPointer, UnsafeMutableRawBufferPointer) {
    let half = Self.byteCount / 2
    return (
      UnsafeMutableRawBufferPointer(rebasing: bytes[..<half]),
      UnsafeMutableRawBufferPointer(rebasing: bytes[half...])
    )
  }
}
