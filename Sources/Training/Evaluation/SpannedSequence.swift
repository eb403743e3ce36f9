import Foundation
import LongzooMemory
import LongzooModel
import Synchronization

/// Runs a model over one long token sequence on several threads, with the very losses that one thread would find.
///
/// Every thread takes a span of the sequence. The state that a span begins with is not known yet, but a network that
/// forgets comes to the same state from anywhere: so a thread starts `warmUp` tokens early with a zero state. Where the
/// state that it has come to equals, bit for bit, the one that the span before ends with, its losses are exact.
/// Where it does not, because the model remembers for longer, the span is run again from the right state, and the next blocks
/// are left to one thread.
package final class SpannedSequence {
  /// Tokens that a thread takes at a time.
  package static let span = 16_384
  package static let warmUp = 4096
  /// The most blocks that are left to one thread before several are tried again.
  private static let longestPause = 64

  /// Tokens that `run` takes at most.
  package let block: Int
  /// Tokens between two looks at whether to stop: some tenths of a second.
  private let piece: Int
  private let models: [SequenceModel]
  private let stateCount: Int
  /// The state that each span was begun with, [spans][state].
  private let starts: Buffer<Float>
  /// The tokens before a span, marked so that none of them is predicted, [spans][warmUp + 1].
  private let before: Buffer<UInt32>
  private var pause = 0
  private var nextPause = 1
  /// Spans that had to be run again; for tests.
  package private(set) var repeatedSpans = 0

  private static func shared(_ threads: Int) -> Int { threads > 1 ? threads : 0 }

  package static func byteCount(for layout: Layout, threads: Int) -> Int {
    threads * SequenceModel.byteCount(for: layout)
      + Buffer<Float>.byteCount(for: shared(threads) * SequenceModel.stateCount(layout))
      + Buffer<UInt32>.byteCount(for: shared(threads) * (warmUp + 1))
  }

  package init(_ weights: PackedWeights, threads: Int, ledger: MemoryLedger) throws(MemoryError) {
    block = threads > 1 ? threads * Self.span : EvaluationReader.block
    piece = max(1, min(Self.warmUp, (1 << 29) / weights.shape.parameterCount))
    var all: [SequenceModel] = []
    for _ in 0..<threads { all.append(try SequenceModel(weights, ledger: ledger)) }
    models = all
    stateCount = SequenceModel.stateCount(weights.layout)
    starts = try Buffer(
      count: Self.shared(threads) * stateCount, .activations,
      for: "the states that spans begin with", ledger: ledger)
    before = try Buffer(
      count: Self.shared(threads) * (Self.warmUp + 1), .activations, for: "the tokens before spans",
      ledger: ledger)
  }

  package func reset() { models[0].reset() }

  /// Reads a block's inputs and predicts its targets; the state goes on from where it was.
  /// - Parameters:
  ///   - losses: room for the losses of all targets in nats.
  ///   - hits: likewise for whether the target was the most probable id.
  ///   - pool: of at least as many threads as this was made for; nil: all on the caller's.
  ///   - observe: told on the caller's thread, after some tenths of a second of work, how many tokens all threads have predicted.
  ///   - stop: asked by every thread; once it is true, nothing more is predicted.
  /// - Returns: the tokens from the block's first on whose losses are right: all, unless it was stopped.
  package func run(
    _ tokens: TokenBlock, losses: UnsafeMutablePointer<Float>,
    hits: UnsafeMutablePointer<UInt8>, on pool: ThreadPool?, observe: (Int) -> Void = { _ in },
    stop: () -> Bool
  ) -> Int {
    let count = tokens.count
    let spans = (count + Self.span - 1) / Self.span
    let done = Atomic<Int>(0)
    func run(_ span: Int, of range: Range<Int>, tells: Bool) -> Int {
      predict(models[span], tokens, range, losses: losses, hits: hits, stop: stop) { count in
        let all = done.add(count, ordering: .relaxed).newValue
        if tells { observe(min(all, tokens.count)) }
      }
    }
    guard let pool, models.count > 1, spans > 1, pause == 0 else {
      pause = max(0, pause - 1)
      return run(0, of: 0..<count, tells: true)
    }
    precondition(spans <= models.count, "\(tokens.count) tokens for \(models.count) threads")
    func range(_ span: Int) -> Range<Int> { span * Self.span..<min(count, (span + 1) * Self.span) }
    var first = 0
    pool.run(spans) { span, thread in
      if span > 0 { self.warmUp(span, tokens, stop: stop) }
      let predicted = run(span, of: range(span), tells: thread == 0)
      if span == 0 { first = predicted }
    }
    // Only the first span is known to have begun with the true state.
    if stop() { return first }
    return settle(spans) {
      run($0, of: range($0), tells: true) == range($0).count ? nil : range($0).lowerBound
    }
      ?? count
  }

  /// Predicts the tokens after those of `range`.
  /// - Returns: how many, from the first on: all, unless it was stopped.
  private func predict(
    _ model: SequenceModel, _ tokens: TokenBlock, _ range: Range<Int>,
    losses: UnsafeMutablePointer<Float>?, hits: UnsafeMutablePointer<UInt8>?, stop: () -> Bool,
    observe: (Int) -> Void = { _ in }
  ) -> Int {
    for first in stride(from: range.lowerBound, to: range.upperBound, by: piece) {
      if stop() { return first - range.lowerBound }
      let last = min(range.upperBound, first + piece)
      _ = model.run(
        tokens[first..<last], losses: losses.map { $0 + first }, hits: hits.map { $0 + first })
      observe(last - first)
    }
    return range.count
  }

  /// Guesses the state of a span from the tokens before it.
  private func warmUp(_ span: Int, _ tokens: TokenBlock, stop: () -> Bool) {
    let marked = before.pointer + span * (Self.warmUp + 1)
    let first = span * Self.span - Self.warmUp
    for i in 0...Self.warmUp { marked[i] = tokens.row(0)[first + i] | TokenMark.mark }
    models[span].reset()
    _ = predict(
      models[span],
      TokenBlock(
        unchecked: marked, streams: 1, stride: Self.warmUp + 1, count: Self.warmUp,
        vocabularySize: tokens.vocabularySize),
      0..<Self.warmUp, losses: nil, hits: nil, stop: stop)
    (starts.pointer + span * stateCount).update(from: models[span].state.pointer, count: stateCount)
  }

  /// Runs again what was begun with another state than the true one.
  /// - Parameter run: returns the right tokens before a span that could not be brought to its end.
  /// - Returns: likewise; nil where all are right.
  private func settle(_ spans: Int, again run: (Int) -> Int?) -> Int? {
    var isRight = true
    for span in 1..<spans {
      let end = models[span - 1].state.pointer
      let bytes = stateCount * MemoryLayout<Float>.stride
      if memcmp(starts.pointer + span * stateCount, end, bytes) == 0 { continue }
      isRight = false
      repeatedSpans += 1
      models[span].state.pointer.update(from: end, count: stateCount)
      if let right = run(span) { return right }
    }
    if spans > 1 { models[0].state.pointer.update(from: models[spans - 1].state.pointer, count: stateCount) }
    pause = isRight ? 0 : nextPause
    nextPause = isRight ? 1 : min(2 * nextPause, Self.longestPause)
    return nil
  }
}
