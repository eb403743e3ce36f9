import LongzooMemory
import LongzooModel

/// The states of one-sided perturbations: of every direction, and of the unperturbed models beside them.
///
/// Where all directions read one stream, 32 of them make a tile, and one column runs the unperturbed model. Otherwise every
/// direction has an unperturbed column of its own.
final class ForwardStates {
  let layout: Layout
  let pairs: Int
  let beside: Population.Beside
  let tiles: Int
  /// [tiles][layout.state]
  let states: Buffer<Float>
  /// The unperturbed model of one stream for all.
  let base: SequenceModel?
  private let signTiles: Int

  static func beside(streams: Int, pairs: Int) -> Population.Beside {
    streams == 1 ? .nextTile : .unperturbed
  }

  static func byteCount(for layout: Layout, pairs: Int, streams: Int) -> Int {
    let beside = beside(streams: streams, pairs: pairs)
    return statesRoom(layout, pairs: pairs, beside).byteCount
      + (beside == .nextTile ? SequenceModel.byteCount(for: layout) : 0)
  }

  private static func statesRoom(
    _ layout: Layout, pairs: Int, _ beside: Population.Beside
  ) -> Room<Float> {
    Room(
      Population.forwardTiles(pairs: pairs, beside) * layout.stateFloats, .activations,
      for: "the directions' states")
  }

  /// Floats of all states: those of the directions, and of the unperturbed column if there is one.
  static func floats(for layout: Layout, pairs: Int, streams: Int) -> Int {
    let beside = beside(streams: streams, pairs: pairs)
    return statesRoom(layout, pairs: pairs, beside).count
      + (beside == .nextTile ? SequenceModel.stateCount(layout) : 0)
  }

  init(
    _ weights: PackedWeights, layout: Layout, pairs: Int, streams: Int, instructions: Instructions,
    ledger: MemoryLedger
  ) throws(MemoryError) {
    self.layout = layout
    self.pairs = pairs
    beside = Self.beside(streams: streams, pairs: pairs)
    tiles = Population.forwardTiles(pairs: pairs, beside)
    signTiles = Population.tiles(pairs)
    states = try Self.statesRoom(layout, pairs: pairs, beside).buffer(ledger)
    base =
      beside == .nextTile
      ? try SequenceModel(weights, instructions: instructions, ledger: ledger) : nil
    reset()
  }

  func state(ofTile tile: Int) -> UnsafeMutablePointer<Float> { states.pointer + tile * layout.stateFloats }

  func reset() {
    for tile in 0..<tiles { layout.freshen(state(ofTile: tile), columns: Tile.columns) }
    base?.reset()
  }

  /// The 16 directions whose signs are those of a tile go on from the unperturbed state.
  func restart(signTile: Int) {
    guard let base else { return copyLanes(of: signTile, from: Tile.pairs, to: 0) }
    copy(base.state.pointer, to: state(ofTile: signTile / 2) + signTile % 2 * Tile.pairs)
    // Beside the last of an odd number of tiles runs its twin.
    if signTile == signTiles - 1, signTile % 2 == 0 {
      copy(base.state.pointer, to: state(ofTile: signTile / 2) + Tile.pairs)
    }
  }

  private func copy(_ from: UnsafePointer<Float>, to: UnsafeMutablePointer<Float>) {
    for row in 0..<layout.stateFloats / Tile.columns {
      (to + row * Tile.columns).update(repeating: from[row], count: Tile.pairs)
    }
  }

  private func copyLanes(of tile: Int, from: Int, to: Int) {
    var row = state(ofTile: tile)
    for _ in 0..<layout.stateFloats / Tile.columns {
      (row + to).update(from: row + from, count: Tile.pairs)
      row += Tile.columns
    }
  }

  /// The states of a pair are fresh again, and where it has one, that of its unperturbed model.
  func reset(pair: Int) {
    let column = self.column(ofPair: pair)
    let to = state(ofTile: column.tile) + column.lane
    layout.freshen(column: to)
    if base == nil { layout.freshen(column: to + Tile.pairs) }
  }

  /// Where a pair's perturbed model runs; its unperturbed one, if it has one, is 16 lanes further.
  func column(ofPair pair: Int) -> (tile: Int, lane: Int) {
    let (tile, lane) = (pair / Tile.pairs, pair % Tile.pairs)
    return base == nil ? (tile, lane) : (tile / 2, tile % 2 * Tile.pairs + lane)
  }
}
