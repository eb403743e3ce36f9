/// Sums over pairs have one order: each tile has a total of its own, in the order of its pairs, and the totals are added up in the
/// order of tiles. So tiles may be summed anywhere, and added up later, to the same bits.
package enum TileSums {
  /// Σ value(pair) over pairs 0 ..< `pairs`.
  package static func sum(_ pairs: Int, _ value: (_ pair: Int) -> Double) -> Double {
    var sum = 0.0
    for first in stride(from: 0, to: pairs, by: Tile.pairs) {
      var total = 0.0
      for pair in first..<min(pairs, first + Tile.pairs) { total += value(pair) }
      sum += total
    }
    return sum
  }

  /// The same over some pairs that follow each other, which need not begin or end with a tile.
  package static func sum(_ pairs: Range<Int>, _ value: (_ pair: Int) -> Float) -> Float {
    var sum: Float = 0
    var first = pairs.lowerBound
    while first < pairs.upperBound {
      let end = min(pairs.upperBound, (first / Tile.pairs + 1) * Tile.pairs)
      var total: Float = 0
      for pair in first..<end { total += value(pair) }
      sum += total
      first = end
    }
    return sum
  }
}
