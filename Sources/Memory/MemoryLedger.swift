/// What a reservation is for. The names are those of the `memory` object that `--json` prints.
public enum MemoryCategory: String, CaseIterable, Codable, Sendable {
  case parameters, activations, perturbations, optimizer, stream, checkpoint
}

/// The account of every byte that a run holds: each component reserves here before it allocates.
///
/// A ledger with a budget refuses the reservation that would break it, before the memory is touched.
/// It is safe to use from any thread.
public final class MemoryLedger: Sendable {
  private struct Account {
    var current = MemoryTable()
    var peak = MemoryTable()
    var peakTotal = 0
  }

  /// The most bytes that may be reserved at any one time; nil: no bound.
  public let budget: Int?
  private let account = Locked(Account())

  /// - Parameter budget: in bytes; nil: no bound.
  public init(budget: Int? = nil) {
    self.budget = budget
  }

  /// Charges `bytes` to `category`.
  /// - Throws: `MemoryError.overBudget`, with the whole table, if the budget does not allow it.
  public func reserve(_ bytes: Int, _ category: MemoryCategory, for purpose: String) throws(MemoryError) {
    precondition(bytes >= 0, "a reservation of \(bytes) bytes for \(purpose)")
    let refusal: MemoryError? = account.withLock { account in
      let total = account.current.total + bytes
      if let budget, total > budget {
        return .overBudget(
          purpose: purpose, bytes: bytes, category: category, budget: budget, table: account.current)
      }
      account.current[category] += bytes
      account.peak[category] = max(account.peak[category], account.current[category])
      account.peakTotal = max(account.peakTotal, total)
      return nil
    }
    if let refusal { throw refusal }
  }

  /// Gives back what `reserve` charged.
  public func release(_ bytes: Int, _ category: MemoryCategory) {
    account.withLock { account in
      precondition(
        bytes <= account.current[category],
        "released \(bytes) bytes of \(category.rawValue), of which \(account.current[category]) are held")
      account.current[category] -= bytes
    }
  }

  /// What is held now, and the most that was held.
  public func snapshot() -> MemorySnapshot {
    account.withLock { account in
      MemorySnapshot(
        current: account.current, peak: account.peak, peakTotal: account.peakTotal, budget: budget)
    }
  }
}

/// The state of a ledger at one moment, in bytes.
public struct MemorySnapshot: Equatable, Sendable {
  /// What is held.
  public var current: MemoryTable
  /// The peak of each category; categories may peak at different times.
  public var peak: MemoryTable
  /// The peak of the sum.
  public var peakTotal: Int
  /// The most that may be held; nil: no bound.
  public var budget: Int?
}
