import LongzooMemory

/// How far the two states of each pair have come apart: rms(h₊ − h₋)/rms(h) over the units of all stages that carry a state. 0 for equal
/// states, √2 for unrelated ones, 2 for opposite ones.
///
/// A pair whose states have nothing to do with each other any more measures noise: its difference of losses has no slope in
/// it, and neither column is near the state of the model that is trained.
package final class StateDivergence {
  private let population: Population
  /// [T][Σ (h₊ − h₋)², Σ (h₊² + h₋²)/2][16]
  private let sums: Buffer<Float>

  package static func byteCount(forPairs pairs: Int) -> Int {
    room(tiles: Population.tiles(pairs)).byteCount
  }

  private static func room(tiles: Int) -> Room<Float> {
    Room(tiles * Tile.columns, .activations, for: "the states' divergence")
  }

  package init(_ population: Population, ledger: MemoryLedger) throws(MemoryError) {
    precondition(population.carriesStates, "no states are there to be compared")
    self.population = population
    sums = try Self.room(tiles: population.tiles).buffer(ledger)
  }

  /// Takes the sums of a tile.
  package func measure(tile: Int) {
    let layout = population.layout
    var (differences, squares) = (SIMD16<Float>.zero, SIMD16<Float>.zero)
    for index in 0..<layout.shape.stageCount where layout.shape.stage(index).cell.carriesState {
      let stage = layout.stage(index).pointee
      var row = UnsafeRawPointer(
        population.states.pointer + tile * layout.stateFloats + stage.state * Tile.columns)
      for _ in 0..<stage.padded {
        let plus = row.load(as: SIMD16<Float>.self)
        let minus = row.load(fromByteOffset: MemoryLayout<SIMD16<Float>>.size, as: SIMD16<Float>.self)
        let apart = plus - minus
        differences += apart * apart
        squares += plus * plus + minus * minus
        row += 2 * MemoryLayout<SIMD16<Float>>.size
      }
    }
    for lane in 0..<Tile.pairs {
      sums[tile * Tile.columns + lane] = differences[lane]
      sums[tile * Tile.columns + Tile.pairs + lane] = 0.5 * squares[lane]
    }
  }

  private func sums(ofPair pair: Int) -> (apart: Float, square: Float) {
    let at = pair / Tile.pairs * Tile.columns + pair % Tile.pairs
    return (sums[at], sums[at + Tile.pairs])
  }

  private func isApart(_ pair: Int, _ bound: Float) -> Bool {
    let (apart, square) = sums(ofPair: pair)
    return apart > bound * bound * square
  }

  /// Of all pairs together.
  package var ratio: Double {
    let apart = TileSums.sum(population.pairs) { Double(sums(ofPair: $0).apart) }
    let square = TileSums.sum(population.pairs) { Double(sums(ofPair: $0).square) }
    return square > 0 ? (apart / square).squareRoot() : 0
  }

  /// Sends the pairs whose ratio is above `bound` back to the clean state of their stream: the mean over its other pairs,
  /// or where there is none within the bound over the pair's own two columns. They keep their directions.
  /// - Returns: how many they were.
  package func returnPairs(beyond bound: Float) -> Int {
    var returned = 0
    for pair in 0..<population.pairs where isApart(pair, bound) {
      returned += 1
      let sound = population.pairs(ofStream: population.stream(ofPair: pair))
      population.setCleanState(ofPair: pair, from: sound) { !isApart($0, bound) }
    }
    return returned
  }
}

extension Population {
  /// Puts the mean of both columns over the `members` that are sound into both columns of a pair; of the pair itself if none is.
  fileprivate func setCleanState(ofPair pair: Int, from members: Range<Int>, isSound: (Int) -> Bool) {
    let rows = layout.c.pointee.state / Tile.columns
    let count = members.count(where: isSound)
    func column(_ pair: Int) -> UnsafeMutablePointer<Float> {
      states.pointer + pair / Tile.pairs * layout.c.pointee.state + pair % Tile.pairs
    }
    let to = column(pair)
    for row in stride(from: 0, to: rows * Tile.columns, by: Tile.columns) {
      let sum =
        count == 0
        ? to[row] + to[row + Tile.pairs]
        : TileSums.sum(members) { member in
          guard isSound(member) else { return 0 }
          let from = column(member)
          return from[row] + from[row + Tile.pairs]
        }
      let mean = 0.5 * sum / Float(max(1, count))
      to[row] = mean
      to[row + Tile.pairs] = mean
    }
  }
}
