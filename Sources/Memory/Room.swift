/// A buffer that is not there yet: how many elements, charged to what, and what for.
///
/// A component says its rooms once, in a list from which both its bytes and its buffers are made:
///
///     struct Rooms {
///       let states: Room<Float>
///       let losses: Room<Double>
///       let table: MemoryTable
///
///       init(columns: Int, units: Int) {
///         var table = MemoryTable()
///         states = table.add(columns * units, .activations, for: "the states")
///         losses = table.add(columns, .activations, for: "the losses")
///         self.table = table
///       }
///     }
///
/// `table` is what the component's `byteCount` says before there is one, and `init` takes `try rooms.states.buffer(ledger)`.
package struct Room<Element: BitwiseCopyable>: Sendable {
  package let count: Int
  package let category: MemoryCategory
  package let purpose: String

  /// A room by itself, for a component that has no other.
  package init(_ count: Int, _ category: MemoryCategory, for purpose: String) {
    self.count = count
    self.category = category
    self.purpose = purpose
  }

  /// The bytes that the buffer reserves.
  package var byteCount: Int { Buffer<Element>.byteCount(for: count) }

  /// Makes the buffer.
  /// - Throws: `MemoryError`, if the ledger's budget or the system does not allow it.
  package func buffer(_ ledger: MemoryLedger) throws(MemoryError) -> Buffer<Element> {
    try Buffer(count: count, category, for: purpose, ledger: ledger)
  }
}

extension MemoryTable {
  /// Adds a room to those that the table sums up.
  package mutating func add<Element: BitwiseCopyable>(
    _ count: Int, _ category: MemoryCategory, for purpose: String
  ) -> Room<Element> {
    let room = Room<Element>(count, category, for: purpose)
    self[category] += room.byteCount
    return room
  }
}
