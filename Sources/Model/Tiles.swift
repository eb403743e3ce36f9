/// Some tiles of a population, at equal distances: what a list would say, without the memory of one.
public struct Tiles: Sendable {
  public let first: Int
  public let step: Int
  public let count: Int

  /// first, first + step, … below `end`.
  public init(from first: Int = 0, by step: Int = 1, below end: Int) {
    self.first = first
    self.step = step
    count = max(0, (end - first + step - 1) / step)
  }

  public subscript(index: Int) -> Int { first + index * step }
}
