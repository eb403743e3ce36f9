import LongzooModel

/// What a window has to predict so far: tokens of all streams that are not marked, and the same counted for every pair that reads
/// them, which is the divisor of the pairs' losses.
struct WindowTargets {
  private(set) var streams = 0
  private(set) var pairs = 0

  /// Counts a chunk. False if there is nothing to predict in it.
  mutating func add(_ tokens: TokenBlock, readBy population: Population) -> Bool {
    var chunk = 0
    for stream in 0..<population.streams {
      let found = tokens.targets(ofStream: stream)
      chunk += found
      pairs += found * population.pairs(ofStream: stream).count
    }
    streams += chunk
    return chunk > 0
  }
}
