import Foundation
import LongzooMemory
import LongzooModel

/// What the best fixed tables could do on exactly the tokens that were evaluated: their empirical entropies of order 0 and
/// 1, in bits a token. A model must come below them to have learned anything.
///
/// Counts have 64 bits: 30 GB of text have one letter more than 2³² times.
package final class NGramBaseline {
  /// Above this vocabulary there is no bigram table: it would not be small.
  private static let largestBigramVocabulary = 1024

  private let vocabulary: Int
  private let single: Buffer<UInt64>
  private let pairs: Buffer<UInt64>
  private var total = 0

  private static func pairCount(_ vocabulary: Int) -> Int {
    vocabulary <= largestBigramVocabulary ? vocabulary * vocabulary : 0
  }

  package static func byteCount(vocabulary: Int) -> Int {
    Buffer<UInt64>.byteCount(for: vocabulary) + Buffer<UInt64>.byteCount(for: pairCount(vocabulary))
  }

  package init(vocabulary: Int, ledger: MemoryLedger) throws(MemoryError) {
    self.vocabulary = vocabulary
    single = try Buffer(count: vocabulary, .activations, for: "the evaluation's counts", ledger: ledger)
    pairs = try Buffer(
      count: Self.pairCount(vocabulary), .activations, for: "the evaluation's counts of pairs", ledger: ledger
    )
  }

  package func reset() {
    single.elements.update(repeating: 0)
    pairs.elements.update(repeating: 0)
    total = 0
  }

  /// Counts the targets among tokens[1...], each after the token before it.
  package func add(_ tokens: UnsafeBufferPointer<UInt32>) {
    for i in 1..<max(1, tokens.count) {
      guard tokens[i] & TokenMark.mark == 0 else { continue }
      add(token: Int(tokens[i]), after: Int(tokens[i - 1] & TokenMark.id))
    }
  }

  package func add(token: Int, after previous: Int, times: UInt64 = 1) {
    single[token] += times
    if pairs.count > 0 { pairs[previous * vocabulary + token] += times }
    total += Int(times)
  }

  /// H(x)
  package var unigramBits: Double? {
    total > 0 ? bits(single.elements) / Double(total) : nil
  }

  /// H(x | the token before)
  package var bigramBits: Double? {
    guard total > 0, pairs.count > 0 else { return nil }
    var sum = 0.0
    for before in 0..<vocabulary {
      sum += bits(
        UnsafeMutableBufferPointer(rebasing: pairs.elements[before * vocabulary..<(before + 1) * vocabulary]))
    }
    return sum / Double(total)
  }

  /// Σ n·log2(Σn / n)
  private func bits(_ counts: UnsafeMutableBufferPointer<UInt64>) -> Double {
    let sum = counts.reduce(0.0) { $0 + Double($1) }
    return counts.reduce(0.0) { $1 == 0 ? $0 : $0 + Double($1) * log2(sum / Double($1)) }
  }
}
