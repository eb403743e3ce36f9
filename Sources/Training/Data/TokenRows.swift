import LongzooMemory
import LongzooModel
import LongzooStream

/// The rows of tokens that cross from the stream to the model: [streams][chunk + 1].
package final class TokenRows {
  package let values: Buffer<UInt32>
  package let stride: Int
  private let streams: Int
  private let vocabularySize: Int

  package static func byteCount(streams: Int, chunk: Int) -> Int {
    Buffer<UInt32>.byteCount(for: streams * (chunk + 1))
  }

  /// - Parameter vocabularySize: that of whoever fills the rows, who checks the ids.
  package init(streams: Int, chunk: Int, vocabularySize: Int, ledger: MemoryLedger) throws(MemoryError) {
    stride = chunk + 1
    self.streams = streams
    self.vocabularySize = vocabularySize
    values = try Buffer(count: streams * stride, .stream, for: "the rows of tokens", ledger: ledger)
  }

  /// The first `count` inputs of every row, and their targets.
  package func block(_ count: Int) -> TokenBlock {
    TokenBlock(
      unchecked: values.pointer, streams: streams, stride: stride, count: count,
      vocabularySize: vocabularySize)
  }

  /// Fills every row with the next tokens.
  /// - Returns: (input, target) pairs in each row; fewer than `count` only at the end of a pipe.
  package func fill(_ count: Int, from feed: TokenFeed) throws(StreamError) -> Int {
    var room = values.elements.mutableSpan
    return try feed.next(count, into: &room)
  }
}
