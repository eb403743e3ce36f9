import CLongzooKernels

/// A token is an id and a mark: a marked token is read, but nobody has to predict it.
public enum TokenMark {
  /// The bit that marks a token.
  public static let mark = LZ_MARK
  /// The bits of its id.
  public static let id = LZ_ID

  /// How many of these tokens are to be predicted.
  package static func targets(_ tokens: UnsafePointer<UInt32>, count: Int) -> Int {
    var marked = 0
    for index in 0..<count { marked &+= Int(tokens[index] >> 31) }
    return count - marked
  }
}
