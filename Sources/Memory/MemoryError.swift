/// The settings that errors of memory name.
extension Setting {
  /// The bytes that a `MemoryLedger` allows.
  public static let memoryBudget = Setting("memoryBudget")
}

/// A reservation that was refused.
public enum MemoryError: Error, CustomStringConvertible, Sendable {
  /// `table` is what was already held when `bytes` more were asked for.
  case overBudget(purpose: String, bytes: Int, category: MemoryCategory, budget: Int, table: MemoryTable)
  /// The system had no memory of this size to give.
  case exhausted(purpose: String, bytes: Int)

  /// Whether the system refused, and not the budget.
  public var isOfTheSystem: Bool { if case .exhausted = self { true } else { false } }

  /// What was refused and what to do: one sentence, and over the budget a table below it, after a colon.
  public var wording: Wording {
    switch self {
    case .overBudget(let purpose, let bytes, let category, let budget, let table):
      return """
        \(purpose) needs \(ByteSize.formatted(bytes)) of \(category.rawValue), and the memory budget of \
        \(ByteSize.formatted(budget)) does not allow it; raise \(.memoryBudget) or make the run smaller. Held so far:
        \(table.formatted(budget: budget))
        """
    case .exhausted(let purpose, let bytes):
      return """
        the system has no \(ByteSize.formatted(bytes)) of memory left for \(purpose); make the run smaller, or raise its \
        limits (ulimit -v)
        """
    }
  }

  /// The text with settings under the names that `name` has for them.
  public func text(naming name: (Setting) -> String) -> String { wording.text(naming: name) }

  public var description: String { wording.description }
}
