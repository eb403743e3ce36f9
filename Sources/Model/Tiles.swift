/// Some tiles of a population, at equal distances: what a list would say, without the memory of one.
package struct Tiles: Sendable {
  package let first: Int
  package let step: Int
  package let count: Int

  /// first, first + step, … below `end`.
  package init(from first: Int = 0, by step: Int = 1, below end: Int) {
    self.first = first
    self.step = step
    count = max(0, (end - first + step - 1) / step)
  }

  package subscript(index: Int) -> Int { first + index * step }
}
