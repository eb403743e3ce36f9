import ArgumentParser
import Foundation
import LongzooStream
import LongzooTraining

struct TaskCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "task", abstract: "Writes the tokens of a synthetic task to standard output.",
    discussion: """
      Tokens are bytes. What stands in [ ] is the answer; with --targets marked all other bytes have their highest bit set.

        copy         abc [abc\\n]          letters a to z, as many as --length says
        reverse      abc [cba\\n]
        sort         bca [abc\\n]
        repeat-copy  abc 2 [abcabc\\n]     1 to 4 times
        add          3+9+1=[13\\n]         --length digits
        latch        s n…n q [s]          no text but ids: a symbol s, --length random noise tokens n, the question q, the symbol:
                                          s is 0 to S−1, q is S, n is S+1 to S+4, S being --symbols
        recall       A=7 xkcd A?[7] …     units of four: facts, questions for facts stated up to --length tokens ago (a key is
                                          stated anew about as often), and noise; --symbols keys, values 0 to 9; no sequences, no
                                          end; A..B: nothing within A tokens of a question tells the answer

      Every stream is a function of the task, its options and the seed: another seed makes held-out data.
      The end of the reader is no error: longzoo task copy | head -3.
      """)

  @Argument(
    help: ArgumentHelp("copy, reverse, sort, add, repeat-copy, latch or recall.", valueName: "task"))
  var task: TaskKind
  @Option(
    help: ArgumentHelp(
      "Letters, digits, noise tokens: N, or A..B for uniform lengths (recall: distances). (default: 2..10; add 2..5; latch, recall 1k)",
      valueName: "length"), transform: TaskLength.parse)
  var length: TaskLength?
  @Option(help: "End after N tokens. (default: no end)", transform: TokenCount.parse) var count: TokenCount?
  @Option(help: "End after N whole sequences.", transform: TokenCount.number) var sequences: Int?
  @Option(
    help:
      "Fill each sequence up to N tokens with '.' (latch: with the first noise token), not to be predicted.",
    transform: TokenCount.number)
  var pad: Int?
  @Option(help: "What is to be predicted: all tokens, or marked: the answers.")
  var targets: TargetChoice = .all
  @Option(
    help: "Symbols of latch, 2 to 64, or keys of recall, 1 to 26. (default: 4; recall 8)",
    transform: TokenCount.number) var symbols: Int?
  @Option(help: "Seed of all randomness.", transform: Seed.parse) var seed: UInt64 = 1337

  private var lengths: ClosedRange<Int> { length?.range ?? task.defaultLength }

  func validate() throws {
    if count != nil, sequences != nil { throw ValidationError("--count and --sequences exclude each other.") }
    if let sequences, sequences < 1 { throw ValidationError("--sequences must be at least 1.") }
    if let count, count.value < 1 { throw ValidationError("--count must be at least 1.") }
    if let symbols {
      guard let allowed = task.symbols else {
        throw ValidationError("--symbols means nothing to \(task.rawValue).")
      }
      guard allowed.contains(symbols) else {
        throw ValidationError(
          "--symbols \(symbols) is not from \(allowed.lowerBound) to \(allowed.upperBound).")
      }
    }
    if !task.hasSequences {
      if sequences != nil || pad != nil {
        throw ValidationError("\(task.rawValue) is one stream, without sequences to pad or to count.")
      }
    } else if task != .latch, lengths.upperBound > 1_000_000 {
      throw ValidationError("--length: at most 1M, but for latch and recall.")
    }
    if let pad, pad < task.longest(lengths.upperBound) {
      throw ValidationError(
        "--pad \(pad): a sequence of \(task.rawValue) with a length of \(lengths.upperBound) may have \(task.longest(lengths.upperBound)) tokens."
      )
    }
  }

  func run() throws {
    let tokens = TaskSequences(task, length: lengths, seed: seed, pad: pad, symbols: symbols)
    do {
      try tokens.write(sequences: sequences, count: count?.value, isMarked: targets == .marked) {
        try TaskOutput.write($0, to: STDOUT_FILENO)
      }
    } catch let end as TaskOutput.End {
      switch end {
      case .closed: break
      case .signal: throw ExitCode(ExitStatus.signal(Signals.received ?? SIGTERM))
      case .failed(let code): throw RunFailure.system("write to", "standard output", errno: code)
      }
    }
  }
}

extension TaskKind: ExpressibleByArgument {}

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
