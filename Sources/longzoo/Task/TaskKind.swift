import ArgumentParser
import Foundation
import LongzooTraining

/// The tasks. Numbers enter the seeds: they must not change.
enum TaskKind: String, CaseIterable, ExpressibleByArgument {
  case copy, reverse, sort, add
  case repeatCopy = "repeat-copy"
  case latch, recall

  var number: Int { Self.allCases.firstIndex(of: self)! + 1 }

  var defaultLength: ClosedRange<Int> {
    switch self {
    case .copy, .reverse, .sort, .repeatCopy: 2...10
    case .add: 2...5
    case .latch, .recall: 1000...1000
    }
  }

  /// How many symbols of latch or keys of recall there may be; nil: the task has none.
  var symbols: ClosedRange<Int>? {
    switch self {
    case .latch: 2...64
    case .recall: 1...26
    default: nil
    }
  }

  var defaultSymbols: Int { self == .recall ? 8 : 4 }

  /// recall is one sequence without an end.
  var hasSequences: Bool { self != .recall }

  /// The most tokens of a sequence.
  func longest(_ length: Int) -> Int {
    switch self {
    case .copy, .reverse, .sort: 2 * length + 2
    case .repeatCopy: 5 * length + 4
    case .add: 2 * length + "\(9 * length)".utf8.count + 1
    case .latch: length + 3
    case .recall: 0
    }
  }
}

/// `--length N` or `--length A..B`
struct TaskLength {
  var range: ClosedRange<Int>

  static func parse(_ text: String) throws -> TaskLength {
    let parts = text.components(separatedBy: "..")
    let numbers = try parts.map(TokenCount.number)
    guard numbers.count <= 2, let first = numbers.first, let last = numbers.last, first >= 1, first <= last,
      last <= 1 << 36
    else { throw ValidationError("a length is N, or A..B with 1 ≤ A ≤ B; at most 2^36.") }
    return TaskLength(range: first...last)
  }
}
