import LongzooMemory

/// A copy of everything that training changes, to be gone back to.
package final class StateSnapshot {
  private let copy: Buffer<UInt8>
  private var updates = 0

  package static func byteCount(forBytes bytes: Int) -> Int { Buffer<UInt8>.byteCount(for: bytes) }

  package init(_ model: any TrainingState, ledger: MemoryLedger) throws(MemoryError) {
    copy = try Buffer(
      count: model.trainedMemory.reduce(0) { $0 + $1.count }, .checkpoint,
      for: "a copy of the training's state",
      ledger: ledger)
  }

  package func take(_ model: any TrainingState) {
    updates = model.updates
    var to = UnsafeMutableRawPointer(copy.pointer)
    for piece in model.trainedMemory where !piece.isEmpty {
      to.copyMemory(from: piece.baseAddress!, byteCount: piece.count)
      to += piece.count
    }
  }

  /// - Parameter step: windows that had ended when the copy was taken.
  package func restore(_ model: any TrainingState, step: Int) {
    model.updates = updates
    // Directions are drawn again, which forgets what they have met; the copy knows it.
    if step > 0 { model.estimator.restore(afterWindow: step - 1) }
    var from = UnsafeRawPointer(copy.pointer)
    for piece in model.trainedMemory where !piece.isEmpty {
      piece.baseAddress!.copyMemory(from: from, byteCount: piece.count)
      from += piece.count
    }
    model.start()
  }
}
