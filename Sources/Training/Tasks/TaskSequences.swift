/// The sequences of a synthetic task, one after another, as a function of the task, its settings and the seed.
///
/// Every sequence has random numbers of its own, so that streams of another seed are held-out data. `TaskKind` shows what a
/// sequence looks like.
///
/// ```swift
/// let tokens = TaskSequences(.copy, seed: 1).tokens(1_000_000)
/// ```
public struct TaskSequences: Sendable {
  private static let space = UInt8(ascii: " ")
  private static let end = UInt8(ascii: "\n")
  private static let filler = UInt8(ascii: ".")

  public var task: TaskKind
  /// Letters, digits or noise tokens of a sequence, each length as likely as the others; with recall the tokens back to which
  /// questions reach, and within which nothing tells their answer.
  public var length: ClosedRange<Int>
  public var seed: UInt64
  /// Tokens of a sequence with what fills it up, at least `task.longest(length.upperBound)`; nil: as long as it is.
  public var pad: Int?
  /// Symbols of latch, keys of recall, within `task.symbols`.
  public var symbols: Int

  /// - Parameters:
  ///   - length: at least 1, at most 2³⁶; nil: the task's default.
  ///   - symbols: nil: the task's default.
  public init(
    _ task: TaskKind, length: ClosedRange<Int>? = nil, seed: UInt64 = 1337, pad: Int? = nil,
    symbols: Int? = nil
  ) {
    (self.task, self.seed, self.pad) = (task, seed, pad)
    self.length = length ?? task.defaultLength
    self.symbols = symbols ?? task.defaultSymbols
    precondition(self.length.lowerBound >= 1, "a length of \(self.length.lowerBound) is less than 1")
    precondition(
      task.symbols?.contains(self.symbols) ?? true, "\(task) with \(self.symbols) symbols is not defined")
  }

  /// The first `count` tokens.
  /// - Parameter isMarked: whether tokens that are not to be predicted have their highest bit set.
  public func tokens(_ count: Int, isMarked: Bool = false) -> [UInt8] {
    guard count > 0 else { return [] }
    var all: [UInt8] = []
    all.reserveCapacity(count)
    var writer = TaskWriter(isMarked: isMarked, count: count) { all += $0 }
    // It ends when the count is reached: what takes the tokens throws nothing.
    try? write(nil, to: &writer)
    return all
  }

  /// Hands the tokens over in blocks of about 64 KiB, until there are as many as were asked for.
  ///
  /// - Parameters:
  ///   - sequences: how many; nil: without end. Means nothing to recall.
  ///   - count: tokens, after which a sequence is cut off; nil: any number.
  ///   - isMarked: whether tokens that are not to be predicted have their highest bit set.
  ///   - take: gets the blocks in their order; an error that it throws ends the stream.
  /// - Throws: what `take` throws.
  public func write(
    sequences: Int? = nil, count: Int? = nil, isMarked: Bool = false,
    to take: @escaping ([UInt8]) throws -> Void
  ) throws {
    var writer = TaskWriter(isMarked: isMarked, count: count, take: take)
    do throws(TaskWriter.End) {
      try write(sequences, to: &writer)
    } catch {
      if case .refused(let reason) = error { throw reason }
    }
  }

  private func write(_ sequences: Int?, to output: inout TaskWriter) throws(TaskWriter.End) {
    if task == .recall { try recall(&output) }
    var number = 0
    while number < sequences ?? .max {
      let written = try sequence(number, &output)
      if let pad {
        try output.question(repeatElement(task == .latch ? latchFiller : Self.filler, count: pad - written))
      }
      number += 1
    }
    try output.flush()
    throw .complete
  }

  /// - Returns: tokens written.
  private func sequence(_ number: Int, _ output: inout TaskWriter) throws(TaskWriter.End) -> Int {
    var random = TaskRandom(seed: seed, task: task, sequence: number)
    let count = random.within(length)
    switch task {
    case .latch: return try latch(number, gap: count, symbol: random.below(symbols), &output)
    case .add: return try add((0..<count).map { _ in random.below(10) }, &output)
    default: break
    }
    let letters = (0..<count).map { _ in UInt8(ascii: "a") + UInt8(random.below(26)) }
    try output.question(letters)
    try output.question([Self.space])
    var answer = letters
    var extra = 0
    switch task {
    case .reverse: answer.reverse()
    case .sort: answer.sort()
    case .repeatCopy:
      let times = 1 + random.below(4)
      try output.question([UInt8(ascii: "0") + UInt8(times), Self.space])
      extra = 2
      answer = Array(repeatElement(letters, count: times).joined())
    default: break
    }
    try output.answer(answer)
    try output.answer([Self.end])
    return count + 1 + extra + answer.count + 1
  }

  private func add(_ digits: [Int], _ output: inout TaskWriter) throws(TaskWriter.End) -> Int {
    let question = digits.map(String.init).joined(separator: "+") + "="
    let answer = "\(digits.reduce(0, +))\n"
    try output.question(question.utf8)
    try output.answer(answer.utf8)
    return question.utf8.count + answer.utf8.count
  }

  // MARK: Latch: small ids: symbols 0 ..< S, the question S, noise S + 1 … S + 4

  private var latchFiller: UInt8 { UInt8(symbols) + 1 }

  private func latch(
    _ number: Int, gap: Int, symbol: Int, _ output: inout TaskWriter
  ) throws(TaskWriter.End) -> Int {
    try output.question([UInt8(symbol)])
    let random = TaskRandom(seed: seed, task: task, sequence: number, part: 1)
    try output.noise(gap, from: UInt8(symbols) + 1, random)
    try output.question([UInt8(symbols)])
    try output.answer([UInt8(symbol)])
    return gap + 3
  }

  // MARK: Recall: units of four tokens

  private static let unit = 4

  /// `K=v ` states a fact, `K?v ` asks for it, anything else is noise of small letters. All keys are stated at the start; then a
  /// key is stated anew about every B tokens, and one unit of eight asks for a key that was stated at most B tokens ago and whose
  /// value was last told, by a fact or an answer, at least A tokens ago. (A single length is B, and A is 0.)
  private func recall(_ output: inout TaskWriter) throws(TaskWriter.End) {
    var values = [Int](repeating: 0, count: symbols)
    var statedAt = values
    var toldAt = values
    let reach = length.upperBound
    let least = length.count > 1 ? length.lowerBound : 0
    let unitsBetweenFacts = max(4, reach / (Self.unit * symbols))
    for unit in 0... {
      var random = TaskRandom(seed: seed, task: task, sequence: unit)
      let place = unit * Self.unit
      let key = unit < symbols ? unit : random.below(symbols)
      let name = UInt8(ascii: "A") + UInt8(key)
      if unit < symbols || random.below(unitsBetweenFacts) == 0 {
        (values[key], statedAt[key], toldAt[key]) = (random.below(10), place, place)
        try output.question([name, UInt8(ascii: "="), UInt8(ascii: "0") + UInt8(values[key]), Self.space])
      } else if random.below(8) == 0, place - statedAt[key] <= reach, place - toldAt[key] >= least {
        toldAt[key] = place
        try output.question([name, UInt8(ascii: "?")])
        try output.answer([UInt8(ascii: "0") + UInt8(values[key])])
        try output.question([Self.space])
      } else {
        try output.question((0..<Self.unit).map { _ in UInt8(ascii: "a") + UInt8(random.below(26)) })
      }
    }
  }
}
