import LongzooMemory
import LongzooModel
import LongzooStream

/// One unperturbed model that reads pieces of the data, each from a zero state.
package final class EvaluationReader {
  /// Tokens that are read at a time by one thread.
  package static let block = 4096
  /// Sums that are kept apart; fixed, so that a result does not depend on the threads.
  package static let lanes = 64

  private let model: SpannedSequence
  private let vocabularySize: Int
  private let tokens: Buffer<UInt32>
  private let losses: Buffer<Float>
  private let hits: Buffer<UInt8>

  /// Without the weights, which are somebody else's.
  package static func byteCount(for layout: Layout, threads: Int = 1) -> Int {
    let block = threads > 1 ? threads * SpannedSequence.span : block
    return SpannedSequence.byteCount(for: layout, threads: threads)
      + Buffer<UInt32>.byteCount(for: block + 1)
      + Buffer<Float>.byteCount(for: block) + Buffer<UInt8>.byteCount(for: block)
  }

  /// - Parameter threads: that share one sequence.
  package init(_ weights: PackedWeights, threads: Int = 1, ledger: MemoryLedger) throws(MemoryError) {
    vocabularySize = weights.shape.vocabularySize
    model = try SpannedSequence(weights, threads: threads, ledger: ledger)
    let block = model.block
    tokens = try Buffer(count: block + 1, .activations, for: "the evaluated tokens", ledger: ledger)
    losses = try Buffer(count: block, .activations, for: "the evaluated losses", ledger: ledger)
    hits = try Buffer(count: block, .activations, for: "the evaluated answers", ledger: ledger)
  }

  /// What is read: piece i of `resetEvery` tokens belongs to lane i mod 64, and that to reader lane mod `readers`.
  package struct Share {
    /// Predictions at most; 0: all.
    package var limit = 0
    /// Tokens of a piece; 0: all are one.
    package var resetEvery = 0
    package var reader = 0
    package var readers = 1

    package func lane(ofPiece piece: Int) -> Int? {
      let lane = piece % EvaluationReader.lanes
      return lane % readers == reader ? lane : nil
    }
  }

  /// Reads the data from its start to its end, and passes over the pieces of others.
  /// - Parameters:
  ///   - baseline: counts all tokens.
  ///   - pool: of the threads that share the sequence; nil: there is one.
  ///   - observe: told after some tenths of a second of work how many tokens it has come by.
  ///   - stop: asked every some tenths of a second, by all threads; true ends it.
  /// - Returns: sums by lane, and whether they are those of a part only, because it was ended.
  package func run(
    _ data: HeldOutReader, _ share: Share, baseline: NGramBaseline?, on pool: ThreadPool?,
    observe: (Int) -> Void = { _ in }, stop: () -> Bool
  ) throws(StreamError) -> (sums: [EvaluationSums], isPartial: Bool) {
    var sums = [EvaluationSums](repeating: EvaluationSums(), count: Self.lanes)
    var (read, sinceReset, piece, carried) = (0, 0, 0, 0)
    model.reset()
    data.rewind()
    while true {
      if stop() { return (sums, true) }
      observe(read)
      var wanted = model.block
      if share.limit > 0 { wanted = min(wanted, share.limit - read) }
      if share.resetEvery > 0 { wanted = min(wanted, share.resetEvery - sinceReset) }
      if wanted == 0 { break }
      var room = UnsafeMutableBufferPointer(rebasing: tokens.elements[carried...wanted]).mutableSpan
      let count: Int
      do throws(StreamError) {
        count = carried + (try data.next(into: &room))
      } catch {
        if error.kind == .interrupted { return (sums, true) }
        throw error
      }
      guard count > 1 else { break }
      let block = UnsafeBufferPointer(rebasing: tokens.elements[..<count])
      baseline?.add(block)
      let lane = share.lane(ofPiece: piece)
      if let lane {
        let right = evaluate(
          block, from: sinceReset, into: &sums[lane], on: pool, observe: { observe(read + $0) }, stop: stop)
        if right < count - 1 { return (sums, true) }
      }
      read += count - 1
      sinceReset += count - 1
      tokens[0] = tokens[count - 1]
      carried = 1
      if sinceReset == share.resetEvery {
        if let lane { sums[lane].endAnswer() }
        model.reset()
        sinceReset = 0
        piece += 1
      }
    }
    for lane in sums.indices { sums[lane].endAnswer() }
    return (sums, false)
  }

  /// - Returns: the tokens that were predicted: all of the block, unless it was stopped.
  private func evaluate(
    _ block: UnsafeBufferPointer<UInt32>, from position: Int, into sums: inout EvaluationSums,
    on pool: ThreadPool?, observe: (Int) -> Void, stop: () -> Bool
  ) -> Int {
    let rows = TokenBlock(
      unchecked: block.baseAddress!, streams: 1, stride: block.count, count: block.count - 1,
      vocabularySize: vocabularySize)
    let right = model.run(
      rows, losses: losses.pointer, hits: hits.pointer, on: pool, observe: observe, stop: stop)
    for index in 0..<right {
      let isMarked = block[index + 1] & TokenMark.mark != 0
      sums.add(
        isMarked ? nil : (losses[index], hits[index] != 0), position: position + index + 1)
    }
    return right
  }
}
