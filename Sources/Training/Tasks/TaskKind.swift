/// A synthetic task, whose tokens are bytes. Examples show a sequence of each, its answer in [ ].
///
/// The place among all tasks enters the random numbers of a sequence: it must not change.
public enum TaskKind: String, CaseIterable, Sendable {
  /// Letters, a space, the letters again, a line break: `abc [abc⏎]`.
  case copy
  /// The letters come back from the last to the first: `abc [cba⏎]`.
  case reverse
  /// The letters come back in their order of the alphabet: `bca [abc⏎]`.
  case sort
  /// A sum of digits: `3+9+1=[13⏎]`.
  case add
  /// The letters come back 1 to 4 times, as a digit says: `abc 2 [abcabc⏎]`.
  case repeatCopy = "repeat-copy"
  /// A symbol, noise, a question, the symbol again: `s n…n q [s]`. Tokens are ids and no text: s is one of 0 ..< S, q is S, and
  /// each n is one of the four ids after S, for S symbols.
  case latch
  /// Units of four tokens without an end: `A=7 ` states a fact, `A?[7] ` asks for it, and four small letters are noise.
  case recall

  var number: Int { Self.allCases.firstIndex(of: self)! + 1 }

  /// The lengths of sequences where nobody says: letters, digits, noise tokens, or tokens between a fact and its question.
  public var defaultLength: ClosedRange<Int> {
    switch self {
    case .copy, .reverse, .sort, .repeatCopy: 2...10
    case .add: 2...5
    case .latch, .recall: 1000...1000
    }
  }

  /// How many symbols of latch or keys of recall there may be; nil: the task has none.
  public var symbols: ClosedRange<Int>? {
    switch self {
    case .latch: 2...64
    case .recall: 1...26
    default: nil
    }
  }

  /// Symbols of latch or keys of recall where nobody says; other tasks ignore it.
  public var defaultSymbols: Int { self == .recall ? 8 : 4 }

  /// Whether the stream consists of sequences that end; recall is one without an end.
  public var hasSequences: Bool { self != .recall }

  /// The most tokens that a sequence of this length may have; 0 for recall, which has no sequences.
  public func longest(_ length: Int) -> Int {
    switch self {
    case .copy, .reverse, .sort: 2 * length + 2
    case .repeatCopy: 5 * length + 4
    case .add: 2 * length + "\(9 * length)".utf8.count + 1
    case .latch: length + 3
    case .recall: 0
    }
  }
}
