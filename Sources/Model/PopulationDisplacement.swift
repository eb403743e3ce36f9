import LongzooMemory

/// How far the directions have moved the states of their pairs.
extension Population {
  /// Both columns of a pair take over a state of a stage, of which h is part 0.
  package func setState(ofPair pair: Int, stage index: Int, part: Int, _ units: UnsafePointer<Float>) {
    let stage = layout.stage(index).pointee
    let to =
      states.pointer + pair / Tile.pairs * layout.stateFloats
      + (stage.state + part * stage.padded) * Tile.columns + pair % Tile.pairs
    for unit in 0..<layout.shape.stage(index).units(ofPart: part) {
      to[unit * Tile.columns] = units[unit]
      to[unit * Tile.columns + Tile.pairs] = units[unit]
    }
  }

  /// (s₊ − s₋)/2ε of a tile, of every stage [S][padded units][16].
  package func displacements(ofTile tile: Int, epsilon: Float, into out: UnsafeMutablePointer<Float>) {
    var from = states.pointer + tile * layout.c.pointee.state
    var to = out
    let scale = 0.5 / epsilon
    for _ in 0..<layout.c.pointee.state / Tile.columns {
      for lane in 0..<Tile.pairs { to[lane] = scale * (from[lane] - from[lane + Tile.pairs]) }
      from += Tile.columns
      to += Tile.pairs
    }
  }
}
