import LongzooMemory
import LongzooModel
import Synchronization
import Testing

@testable import LongzooTraining
@testable import longzoo

/// Several threads on one sequence find the losses that one thread finds, whether the model forgets or not.
@Suite struct EvalSpansTests {
  private static let shape = ModelShape(vocabularySize: 16, hiddenSize: 4, layers: 1)

  /// - Parameter memory: the bias of the forget gates; a large one never lets go of anything.
  private func weights(memory: Float, _ ledger: MemoryLedger) throws -> PackedWeights {
    let parameters = try Parameters(Self.shape, ledger: ledger)
    parameters.initialize(seed: 3, Initialization())
    let slice = Self.shape.slice(.bias(0))
    for unit in 0..<Self.shape.hiddenSize { parameters.values[slice.offset + 4 * unit + 1] = memory }
    let weights = try PackedWeights(Layout(Self.shape, kind: .rank1, exactReadout: true), ledger: ledger)
    weights.pack(parameters, on: try ThreadPool(threads: 1))
    return weights
  }

  private func losses(
    _ weights: PackedWeights, _ tokens: [UInt32], threads: Int
  ) throws -> (bits: [UInt32], hits: [UInt8], repeated: Int) {
    let sequence = try SpannedSequence(weights, threads: threads, ledger: MemoryLedger())
    let pool = try ThreadPool(threads: threads)
    var losses = [Float](repeating: .nan, count: tokens.count - 1)
    var hits = [UInt8](repeating: 9, count: tokens.count - 1)
    sequence.reset()
    for first in stride(from: 0, to: tokens.count - 1, by: sequence.block) {
      let last = min(tokens.count - 1, first + sequence.block)
      tokens[first...last].withUnsafeBufferPointer { part in
        losses.withUnsafeMutableBufferPointer { losses in
          hits.withUnsafeMutableBufferPointer { hits in
            let right = sequence.run(
              TokenBlock(
                unchecked: part.baseAddress!, streams: 1, stride: part.count, count: part.count - 1,
                vocabularySize: Self.shape.vocabularySize),
              losses: losses.baseAddress! + first,
              hits: hits.baseAddress! + first, on: pool, stop: { false })
            #expect(right == last - first)
          }
        }
      }
    }
    return (losses.map(\.bitPattern), hits, sequence.repeatedSpans)
  }

  @Test(arguments: [Float(1), 30])
  func threadsFindTheSameLosses(memory: Float) throws {
    let ledger = MemoryLedger()
    let weights = try weights(memory: memory, ledger)
    var tokens = Sample.tokens(150_001).map { UInt32($0 & 15) }
    for i in 0..<tokens.count where i % 7 == 3 { tokens[i] |= TokenMark.mark }
    let alone = try losses(weights, tokens, threads: 1)
    #expect(alone.repeated == 0 && Set(alone.hits) == [0, 1])
    for threads in [2, 3] {
      let together = try losses(weights, tokens, threads: threads)
      #expect(together.bits == alone.bits && together.hits == alone.hits, "\(threads) threads")
      #expect((together.repeated > 0) == (memory > 1), "\(together.repeated) spans again")
    }
  }

  @Test(arguments: [1, 2, 5])
  func memoryIsPlanned(threads: Int) throws {
    let weights = try weights(memory: 1, MemoryLedger())
    let ledger = MemoryLedger()
    _ = try EvaluationReader(weights, threads: threads, ledger: ledger)
    #expect(
      ledger.snapshot().peakTotal == EvaluationReader.byteCount(for: weights.layout, threads: threads))
  }

  @Test func aStopIsHeardOnTheWay() throws {
    let weights = try weights(memory: 1, MemoryLedger())
    let sequence = try SpannedSequence(weights, threads: 1, ledger: MemoryLedger())
    let tokens = [UInt32](repeating: 1, count: EvaluationReader.block + 1)
    var losses = [Float](repeating: -1, count: EvaluationReader.block)
    var hits = [UInt8](repeating: 9, count: EvaluationReader.block)
    let block = try TokenBlock([tokens], vocabularySize: Self.shape.vocabularySize)
    #expect(sequence.run(block, losses: &losses, hits: &hits, on: nil, stop: { true }) == 0)
    #expect(losses.allSatisfy { $0 == -1 })
  }

  /// What is said to be right after a stop is what a run to the end finds.
  @Test(arguments: [(1, Float(1)), (2, 1), (2, 30)])
  func aStopLeavesWhatIsRight(threads: Int, memory: Float) throws {
    let ledger = MemoryLedger()
    let weights = try weights(memory: memory, ledger)
    let tokens = Sample.tokens(30_001).map { UInt32($0 & 15) }
    let alone = try losses(weights, tokens, threads: 1)
    let pool = try ThreadPool(threads: threads)
    for asked in [1, 2, 3, 5, 8] {
      let sequence = try SpannedSequence(weights, threads: threads, ledger: MemoryLedger())
      let count = min(sequence.block, tokens.count - 1)
      var (found, hits) = ([Float](repeating: -1, count: count), [UInt8](repeating: 9, count: count))
      let left = Atomic<Int>(asked)
      let seen = Atomic<Int>(0)
      let block = try TokenBlock([Array(tokens[...count])], vocabularySize: Self.shape.vocabularySize)
      let right = sequence.run(
        block, losses: &found, hits: &hits, on: pool, observe: { seen.store($0, ordering: .relaxed) },
        stop: { left.subtract(1, ordering: .relaxed).newValue < 0 })
      #expect(right <= count && found[..<right].map(\.bitPattern)[...] == alone.bits[..<right], "\(asked)")
      #expect(asked < 8 || seen.load(ordering: .relaxed) > 0)
    }
  }
}
