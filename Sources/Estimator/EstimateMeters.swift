import LongzooMemory
import LongzooModel

/// Measures a population's estimate ĝ = Σ_p c_p·z_p beside computing it.
///
/// The agreement of two halves of the pairs, ⟨ĝ_A, ĝ_B⟩, is an estimate of the signal ‖E ĝ‖² without bias, because directions of
/// different pairs are independent. Its mean over all ways to cut the pairs in two needs no halves: with
/// ‖ĝ‖² = Σ_p c_p²·‖z_p‖² + Σ_{p≠q} c_p·c_q·⟨z_p, z_q⟩ and ‖z_p‖² = d_p, which for directions of signs is a count, it is
///
///     U = n/(n − 1) · (‖ĝ‖² − Σ_p c_p²·d_p).
///
/// The rest of ‖ĝ‖² is noise: of the directions, and of the streams where the pairs read different ones. The signal-to-noise
/// ratio is U/(‖ĝ‖² − U), the cosine of the estimate with its expectation √(U/‖ĝ‖²), to be held beside √(n/(n + d − 1)).
/// One U is mostly chance; means of U and of ‖ĝ‖² over some dozens of windows are not.
final class EstimateMeters {
  private let population: Population
  /// nil where there are no two states of a pair to compare.
  private let divergence: StateDivergence?
  /// d_p, [pairs rounded up to whole tiles]
  private let searched: Buffer<Double>
  /// ‖ĝ‖² of pieces.
  private let pieces: Buffer<Double>
  private let estimateCount: Int
  private let alwaysSearched: Int
  private let knowsLengths: Bool
  private let instructions: Instructions

  private static let piece = 16384

  static func byteCount(
    for layout: Layout, pairs: Int, carriesStates: Bool, method: PopulationMethod, inPlace: Bool
  ) -> MemoryTable {
    var table = Rooms(layout, pairs: pairs, inPlace: inPlace).table
    if comparesStates(carriesStates, method) {
      table[.activations] += StateDivergence.byteCount(forPairs: pairs)
    }
    return table
  }

  private static func comparesStates(_ carriesStates: Bool, _ method: PopulationMethod) -> Bool {
    carriesStates && method != .tangent
  }

  private struct Rooms {
    let searched: Room<Double>
    let pieces: Room<Double>
    let table: MemoryTable

    init(_ layout: Layout, pairs: Int, inPlace: Bool) {
      var table = MemoryTable()
      searched = table.add(
        Population.tiles(pairs) * Tile.pairs, .perturbations, for: "the pairs' searched parameters")
      pieces = table.add(
        pieceCount(estimateCount(layout, inPlace)), .perturbations, for: "the estimate's norm")
      self.table = table
    }
  }

  private static func pieceCount(_ count: Int) -> Int { (count + piece - 1) / piece }

  /// The readout comes last: what is before it is searched in any case. In place nothing is written down.
  private static func estimateCount(_ layout: Layout, _ inPlace: Bool) -> Int {
    if inPlace { return 0 }
    return layout.exactReadout ? layout.shape.slice(.readout).offset : layout.shape.parameterCount
  }

  init(
    _ population: Population, method: PopulationMethod, inPlace: Bool, instructions: Instructions,
    ledger: MemoryLedger
  ) throws(MemoryError) {
    self.population = population
    self.instructions = instructions
    let layout = population.layout
    estimateCount = Self.estimateCount(layout, inPlace)
    alwaysSearched = layout.shape.tensors.filter { layout.isPerturbed($0.tensor) && $0.tensor != .table }
      .reduce(0) { $0 + $1.count }
    // What pes follows is a sum of directions, and sums have no length that could be counted.
    knowsLengths = method != .persistent && layout.kind.hasFixedLength
    divergence =
      Self.comparesStates(population.carriesStates, method)
      ? try StateDivergence(population, ledger: ledger) : nil
    let rooms = Rooms(layout, pairs: population.pairs, inPlace: inPlace)
    searched = try rooms.searched.buffer(ledger)
    pieces = try rooms.pieces.buffer(ledger)
  }

  /// Looks at the states behind a window, and sends back the pairs that have come too far apart.
  /// - Parameters:
  ///   - bound: 0: none is sent back.
  ///   - withEstimate: whether the estimate will be measured as well.
  func measureStates(bound: Float, withEstimate: Bool, on pool: ThreadPool) -> WindowMeters {
    var meters = WindowMeters()
    meters.pairs = population.pairs
    guard divergence != nil || withEstimate else { return meters }
    pool.run(population.tiles) { tile, _ in
      divergence?.measure(tile: tile)
      if withEstimate { countSearched(tile: tile) }
    }
    if withEstimate {
      meters.searched = TileSums.sum(population.pairs) { searched[$0] } / Double(population.pairs)
    }
    if let divergence {
      meters.divergence = divergence.ratio
      meters.returnedPairs = bound > 0 ? divergence.returnPairs(beyond: bound) : 0
    }
    return meters
  }

  private func countSearched(tile: Int) {
    let shape = population.layout.shape
    let rowLength = Double(shape.slice(.table).columns)
    let to = searched.pointer + tile * Tile.pairs
    for lane in 0..<Tile.pairs { to[lane] = Double(alwaysSearched) }
    let seen = population.seen.pointer + tile * shape.vocabularySize
    for token in 0..<shape.vocabularySize {
      var word = seen[token]
      while word != 0 {
        to[word.trailingZeroBitCount] += rowLength
        word &= word - 1
      }
    }
  }

  /// ‖ĝ‖² and the signal in it.
  /// - Parameters:
  ///   - first: the first parameter whose estimate is there, and `other` the squares of those before.
  ///   - scale: what the coefficients were multiplied with; the meters are those of the estimate without it.
  func measureEstimate(
    _ estimate: UnsafePointer<Float>, from first: Int = 0, besides other: Double = 0,
    coefficients: UnsafePointer<Float>, scale: Double, on pool: ThreadPool, into meters: inout WindowMeters
  ) {
    guard estimateCount > 0, scale > 0 else { return }
    pool.run(pieces.count) { piece, _ in
      let from = max(first, piece * Self.piece)
      let end = min(estimateCount, (piece + 1) * Self.piece)
      pieces[piece] = from < end ? instructions.sumOfSquares(estimate + from, count: end - from) : 0
    }
    let square = (pieces.elements.reduce(0, +) + other) / (scale * scale)
    meters.estimateSquare = square
    let pairs = population.pairs
    guard pairs > 1, knowsLengths else { return }
    let own = TileSums.sum(pairs) {
      Double(coefficients[$0]) * Double(coefficients[$0]) * searched[$0]
    }
    meters.signalSquare = (square - own / (scale * scale)) * Double(pairs) / Double(pairs - 1)
  }
}
