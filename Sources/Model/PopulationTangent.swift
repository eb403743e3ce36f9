import CLongzooKernels
import LongzooMemory

/// What the two columns of every pair are.
package enum PopulationMode: Sendable {
  /// The models θ + εz and θ − εz.
  case central
  /// The model θ, and the derivative of its state and loss along z: forward mode. `loss(ofPair:)` is then (L, dL/dz).
  case tangent
}

/// What forward mode needs as well: states are those of `SequenceModel` here, of every stage [S][padded units].
extension Population {
  /// Floats of one column's state.
  package var stateRows: Int { layout.c.pointee.state / Tile.columns }

  private func firstRow(ofPair pair: Int) -> UnsafeMutablePointer<Float> {
    precondition(carriesStates && pair < pairs, "pair \(pair) of \(pairs)")
    return states.pointer + pair / Tile.pairs * stateRows * Tile.columns + pair % Tile.pairs
  }

  /// The chosen tiles' directions begin: nothing has moved yet, all derivatives are zero. The unperturbed states stay.
  package func clearTangents(_ chosen: Tiles) {
    guard carriesStates else { return }
    for index in 0..<chosen.count {
      var row = states.pointer + chosen[index] * stateRows * Tile.columns + Tile.pairs
      for _ in 0..<stateRows {
        row.update(repeating: 0, count: Tile.pairs)
        row += Tile.columns
      }
    }
  }

  /// The same for one pair.
  package func clearTangent(ofPair pair: Int) {
    let to = firstRow(ofPair: pair) + Tile.pairs
    for row in 0..<stateRows { to[row * Tile.columns] = 0 }
  }

  /// Overwrites the unperturbed state of a pair; its derivative stays.
  package func setPrimal(ofPair pair: Int, to state: UnsafePointer<Float>) {
    let to = firstRow(ofPair: pair)
    for row in 0..<stateRows { to[row * Tile.columns] = state[row] }
  }

  package func readPrimal(ofPair pair: Int, into state: UnsafeMutablePointer<Float>) {
    let from = firstRow(ofPair: pair)
    for row in 0..<stateRows { state[row] = from[row * Tile.columns] }
  }

  /// The derivative of a pair's state along its direction.
  package func readTangent(ofPair pair: Int, into state: UnsafeMutablePointer<Float>) {
    let from = firstRow(ofPair: pair) + Tile.pairs
    for row in 0..<stateRows { state[row] = from[row * Tile.columns] }
  }
}
