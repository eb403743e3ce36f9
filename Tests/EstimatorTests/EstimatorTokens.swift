import LongzooModel

@testable import LongzooEstimator

extension WindowEstimator {
  /// Takes rows of tokens, [streams][stride], of each row count + 1, whose ids the test knows to be good.
  func consume(_ tokens: UnsafePointer<UInt32>, stride: Int, count: Int) {
    consume(
      TokenBlock(
        unchecked: tokens, streams: streams, stride: stride, count: count,
        vocabularySize: shape.vocabularySize))
  }
}
