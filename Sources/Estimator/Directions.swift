import Memory
import Model

/// Draws the signs of a population's directions, and keeps what the update reads of them as floats.
///
/// A direction is a pure function of (seed, tensor, tile, lifetime): bit p of each word belongs to pair p of the tile.
final class Directions {
  let population: Population
  private let seed: UInt64
  private let instructions: Instructions
  /// The column factors b of rank-one directions, ±1: for each matrix [columns][pairs].
  private let columnSigns: Buffer<Float>
  private let offsets: [Tensor: Int]
  let paddedPairs: Int

  static func byteCount(for layout: Layout, pairs: Int) -> Int {
    Buffer<Float>.byteCount(for: columnCount(layout) * Population.tiles(pairs) * Tile.pairs)
  }

  private static func columnCount(_ layout: Layout) -> Int {
    layout.kind == .rank1 ? layout.perturbedMatrices.reduce(0) { $0 + $1.columns } : 0
  }

  init(_ population: Population, seed: UInt64, instructions: Instructions, ledger: MemoryLedger)
    throws(MemoryError)
  {
    self.population = population
    self.seed = seed
    self.instructions = instructions
    paddedPairs = population.tiles * Tile.pairs
    var offsets: [Tensor: Int] = [:]
    var columns = 0
    if population.layout.kind == .rank1 {
      for slice in population.layout.perturbedMatrices {
        offsets[slice.tensor] = columns * paddedPairs
        columns += slice.columns
      }
    }
    self.offsets = offsets
    columnSigns = try Buffer(
      count: columns * paddedPairs, .perturbations, for: "the directions' column factors", ledger: ledger)
  }

  /// The column factors of a matrix, [columns][pairs].
  func columns(_ tensor: Tensor) -> UnsafePointer<Float> {
    UnsafePointer(columnSigns.pointer + offsets[tensor]!)
  }

  /// Gives the pairs of a tile new directions.
  func draw(tile: Int, lifetime: Int) {
    let layout = population.layout
    let words = population.signs.pointer + tile * layout.signsPerTile
    for (index, slice) in layout.shape.tensors.enumerated() where layout.isPerturbed(slice.tensor) {
      for (part, range) in layout.signRanges(slice).enumerated() {
        fill(words + range.lowerBound, range.count, tensor: 2 * index + part, tile: tile, lifetime: lifetime)
      }
    }
    population.seen.elements[tile * layout.shape.vocabularySize..<(tile + 1) * layout.shape.vocabularySize]
      .update(repeating: 0)
    guard layout.kind == .rank1 else { return }
    for slice in layout.perturbedMatrices {
      instructions.expandSigns(
        words + layout.signs(slice.tensor).columns, rows: slice.columns, coefficients: nil, seen: nil,
        into: columnSigns.pointer + offsets[slice.tensor]! + tile * Tile.pairs, stride: paddedPairs)
    }
  }

  private func fill(
    _ words: UnsafeMutablePointer<UInt16>, _ count: Int, tensor: Int, tile: Int, lifetime: Int
  ) {
    let bits = Philox(seed: seed, domain: .directions, tensor: tensor, tile: tile)
    for block in 0..<(count + 7) / 8 {
      let four = bits.block(UInt32(truncatingIfNeeded: block), UInt32(truncatingIfNeeded: lifetime))
      for lane in 0..<min(8, count - 8 * block) {
        words[8 * block + lane] = UInt16(truncatingIfNeeded: four[lane / 2] >> UInt32(16 * (lane % 2)))
      }
    }
  }
}

extension Layout {
  func isPerturbed(_ tensor: Tensor) -> Bool { !(exactReadout && tensor.isReadout) }

  /// The matrices that have directions, in parameter order.
  var perturbedMatrices: [TensorSlice] {
    shape.tensors.filter { !$0.tensor.isVector && isPerturbed($0.tensor) }
  }

  /// The words of a tensor's direction: rows and columns of a rank-one one, or one range.
  func signRanges(_ slice: TensorSlice) -> [Range<Int>] {
    let (rows, columns) = signs(slice.tensor)
    if slice.tensor.isVector { return [rows..<rows + slice.columns] }
    if kind == .rank1 { return [rows..<rows + slice.rows, columns..<columns + slice.columns] }
    let padded = (slice.rows + Tile.blockRows - 1) / Tile.blockRows * Tile.blockRows
    return [columns..<columns + (slice.tensor == .table ? slice.rows * gateStride : padded * slice.columns)]
  }
}
