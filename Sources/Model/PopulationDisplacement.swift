import LongzooMemory

/// How far the directions have moved the states of their pairs.
extension Population {
  /// Both columns of a pair take over the h (part 0) or c (part 1) of a layer.
  package func setState(ofPair pair: Int, layer: Int, part: Int, _ units: UnsafePointer<Float>) {
    let to =
      states.pointer + pair / Tile.pairs * layout.c.state
      + (2 * layer + part) * layout.paddedUnits * Tile.columns + pair % Tile.pairs
    for unit in 0..<layout.shape.hiddenSize {
      to[unit * Tile.columns] = units[unit]
      to[unit * Tile.columns + Tile.pairs] = units[unit]
    }
  }

  /// (s₊ − s₋)/2ε of a tile, [L][h, c][units][16].
  package func displacements(ofTile tile: Int, epsilon: Float, into out: UnsafeMutablePointer<Float>) {
    var from = states.pointer + tile * layout.c.state
    var to = out
    let scale = 0.5 / epsilon
    for _ in 0..<layout.c.state / Tile.columns {
      for lane in 0..<Tile.pairs { to[lane] = scale * (from[lane] - from[lane + Tile.pairs]) }
      from += Tile.columns
      to += Tile.pairs
    }
  }
}
