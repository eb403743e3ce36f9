import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

/// What every estimator must keep, whatever it computes: one call checks all of it.
struct EstimatorLaws {
  let subject: EstimatorLawCase
  /// Windows of a run; a context ends after every third one.
  private static let windows = 5
  private static let fewWindows = 3

  init(_ subject: EstimatorLawCase) { self.subject = subject }

  func check() throws {
    try checkSplits()
    try checkSeed()
    try checkResume()
    try checkSearch()
    try checkMemory()
    try checkAllocations()
  }

  // MARK: The same bits

  private enum Split: CaseIterable {
    case whole, halves, single
  }

  /// Any split of a window into chunks, and any number of threads, give the same bits.
  private func checkSplits() throws {
    let whole = try trace(try subject.subject(), .whole)
    #expect(Set(whole).count == whole.count, "\(name): windows must differ, or the laws say nothing")
    let two = try trace(try subject.subject(threads: 2), .whole)
    expectSame(two, whole, "\(name): 2 threads")
    let few = Array(whole.prefix(Self.fewWindows))
    let five = try trace(try subject.subject(threads: 5), .whole, windows: few.count)
    expectSame(five, few, "\(name): 5 threads")
    guard !subject.isTransient else { return }
    for split in [Split.halves, .single] {
      let bits = try trace(try subject.subject(), split, windows: few.count)
      expectSame(bits, few, "\(name): chunks, \(split)")
    }
  }

  /// Another seed gives other directions.
  private func checkSeed() throws {
    guard subject.family.hasPairs, !subject.family.isExact else { return }
    var other = subject
    other.workload.seed += 1
    #expect(
      run(try other.subject(), 0...0) != run(try subject.subject(), 0...0), "\(name): the seed must matter")
  }

  /// A new estimator that is given what another one carried after k windows goes on as that does.
  private func checkResume() throws {
    for stop in [0, 3] {
      let original = try subject.subject()
      run(original, 0...stop)
      let copy = try subject.subject(threads: 2)
      copy.restore(original.memento, afterWindow: stop)
      for window in stop + 1...stop + 2 {
        let bits = run(original, window...window)
        expectSame(run(copy, window...window), bits, "\(name): window \(window), resumed after \(stop)")
      }
    }
  }

  /// An estimator that has gone on returns to what it was: searches try a few windows several times.
  private func checkSearch() throws {
    let under = try subject.subject()
    run(under, 0...2)
    let saved = under.memento
    let bits = run(under, 3...5)
    under.restore(saved, afterWindow: 2)
    expectSame(run(under, 3...5), bits, "\(name): gone back to window 3")
  }

  // MARK: Memory

  /// What is announced is what is charged and what is carried, whatever the model; windows reserve nothing, and all of it is given
  /// back.
  private func checkMemory() throws {
    var other = subject
    other.workload.threads = 2
    try check(memoryOf: other, isRun: true)
    for shape in EstimatorMemoryTests.shapes {
      // What one model's states fit into, another's do not.
      (other.workload.shape, other.workload.checkpointingBytes) = (shape, nil)
      try check(memoryOf: other, isRun: false)
    }
  }

  private func check(memoryOf subject: EstimatorLawCase, isRun: Bool) throws {
    let ledger = MemoryLedger()
    do {
      let under = try subject.subject(threads: 2, ledger: ledger)
      let before = ledger.snapshot()
      #expect(before.current == subject.family.byteCount(subject.configuration, subject.workload), "\(name)")
      let carried = under.memento.carried.reduce(0) { $0 + $1.count }
      #expect(carried == subject.family.carriedBytes(subject.configuration, subject.workload), "\(name)")
      if isRun { run(under, 0...3) }
      #expect(
        ledger.snapshot() == before && before.peakTotal == before.current.total, "\(name): windows reserve")
      withExtendedLifetime(under) {}
    }
    #expect(ledger.snapshot().current.total == 0, "\(name): not given back")
  }

  /// A window and its update allocate nothing on the heap, once everything has been used before.
  private func checkAllocations() throws {
    guard AllocationCount.isPossible else { return }
    let under = try subject.subject(threads: 2)
    let updates = updater(under)
    for number in 0..<8 { updates(number) }
    let counted = AllocationCount.of(under.pool) { for number in 8..<12 { updates(number) } }
    #expect(
      counted.allocations == 0,
      "\(name): \(counted.allocations) allocations (\(counted.bytes) bytes) in 4 updates")
  }

  // MARK: A run

  private var name: String { subject.testDescription }

  private func trace(
    _ under: any EstimatorSubject, _ split: Split, windows: Int = windows
  ) throws -> [[UInt32]] {
    (0..<windows).map { run(under, $0...$0, split) }
  }

  /// Windows with an update after each; the bits of the last estimate.
  @discardableResult
  private func run(
    _ under: any EstimatorSubject, _ numbers: ClosedRange<Int>, _ split: Split = .whole
  ) -> [UInt32] {
    var bits: [UInt32] = []
    for number in numbers {
      let tokens = subject.workload.window - (subject.isTransient ? 0 : number % 3)
      under.run(number, from: 2 * number, chunks: chunks(tokens, split))
      if !subject.workload.inPlace { bits = under.bits }
      under.descend()
      if subject.workload.inPlace { bits = under.bits }
      if number % 3 == 2 || subject.isTransient { under.windows.beginContext() }
    }
    return bits
  }

  private func chunks(_ tokens: Int, _ split: Split) -> [Int] {
    switch split {
    case .whole: return tokens <= subject.chunk ? [tokens] : chunks(tokens, .single)
    case .halves: return [tokens / 2, tokens - tokens / 2]
    case .single: return Array(repeating: 1, count: tokens)
    }
  }

  /// The same updates without anything of the test's that would allocate.
  private func updater(_ under: any EstimatorSubject) -> (_ number: Int) -> Void {
    let tokens = under.flatTokens
    let window = subject.workload.window
    return { number in
      if number % 2 == 0 { under.windows.beginContext() }
      under.windows.beginWindow(number)
      under.consume(tokens, from: 0, count: window)
      under.finish(window)
      under.descend()
    }
  }
}
