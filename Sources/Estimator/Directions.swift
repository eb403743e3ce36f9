import LongzooMemory
import LongzooModel

/// Draws the signs of a population's directions, and keeps what the update reads of them as floats.
///
/// A direction is a pure function of (seed, tensor, tile, lifetime): bit p of each word belongs to pair p of the tile.
final class Directions {
  let population: Population
  private let seed: UInt64
  private let instructions: Instructions
  /// The column factors b of directions that are products, ±1/√r: for each matrix [columns][tiles][r][16].
  private let columnSigns: Buffer<Float>
  private let offsets: [Tensor: Int]
  /// Words that are drawn, and words whose signs are kept, with their place in `columnSigns`: lists made once.
  private let drawn: [(words: Range<Int>, tensor: Int)]
  private let kept: [(words: Range<Int>, offset: Int)]
  private let tokens: Buffer<UInt32>
  /// 1/√r for every pair of a tile; nothing where r is 1.
  private let shares: Buffer<Float>
  let paddedPairs: Int

  static func byteCount(for layout: Layout, pairs: Int, keepsFactors: Bool) -> Int {
    Rooms(layout, pairs: pairs, keepsFactors: keepsFactors).table.total
  }

  private struct Rooms {
    let tokens: Room<UInt32>
    let shares: Room<Float>
    let columnSigns: Room<Float>
    let table: MemoryTable

    init(_ layout: Layout, pairs: Int, keepsFactors: Bool) {
      var table = MemoryTable()
      // Only rank-one updates gather the rows of the token table that were read.
      tokens = table.add(
        layout.isFactored ? layout.shape.vocabularySize : 0, .perturbations, for: "the tokens that were read")
      shares = table.add(
        layout.products > 1 ? Tile.pairs : 0, .perturbations, for: "the products' share")
      columnSigns = table.add(
        columnCount(layout, keepsFactors) * Population.tiles(pairs) * Tile.pairs, .perturbations,
        for: "the directions' column factors")
      self.table = table
    }
  }

  private static func columnCount(_ layout: Layout, _ keepsFactors: Bool) -> Int {
    layout.isFactored && keepsFactors
      ? layout.perturbedMatrices.reduce(0) { $0 + layout.products * layout.columnFactors($1) } : 0
  }

  /// - Parameter keepsFactors: whether the column factors of rank-one directions are kept as floats.
  init(
    _ population: Population, seed: UInt64, keepsFactors: Bool = true, instructions: Instructions,
    ledger: MemoryLedger
  ) throws(MemoryError) {
    self.population = population
    self.seed = seed
    self.instructions = instructions
    paddedPairs = population.tiles * Tile.pairs
    var offsets: [Tensor: Int] = [:]
    var columns = 0
    if population.layout.isFactored, keepsFactors {
      for slice in population.layout.perturbedMatrices {
        offsets[slice.tensor] = columns * paddedPairs
        columns += population.layout.products * population.layout.columnFactors(slice)
      }
    }
    self.offsets = offsets
    let layout = population.layout
    drawn = layout.shape.tensors.enumerated().filter { layout.isPerturbed($1.tensor) }.flatMap {
      index, slice in
      layout.signRanges(slice).enumerated().map { ($1, 2 * index + $0) }
    }
    var kept: [(words: Range<Int>, offset: Int)] = []
    for slice in layout.perturbedMatrices where !offsets.isEmpty {
      for product in 0..<layout.products {
        var offset = offsets[slice.tensor]! + product * Tile.pairs
        for words in layout.columnWords(slice, product: product) {
          kept.append((words, offset))
          offset += words.count * layout.products * paddedPairs
        }
      }
    }
    self.kept = kept
    let rooms = Rooms(layout, pairs: population.pairs, keepsFactors: keepsFactors)
    tokens = try rooms.tokens.buffer(ledger)
    shares = try rooms.shares.buffer(ledger)
    shares.elements.update(repeating: 1 / Float(layout.products).squareRoot())
    columnSigns = try rooms.columnSigns.buffer(ledger)
  }

  /// The column factors of a matrix, [columns][tiles][r][16]; of a kernel, those of one head.
  func columns(_ slice: TensorSlice, head: Int = 0) -> UnsafePointer<Float> {
    UnsafePointer(columnSigns.pointer + offsets[slice.tensor]! + head * slice.columns * factorStride)
  }

  /// Factors that lie together: of all pairs, and of a tile.
  var factorStride: Int { population.layout.products * paddedPairs }
  var tileFactors: Int { population.layout.products * Tile.pairs }

  /// Whether any pair has read a token since its direction began.
  func isRead(_ token: Int) -> Bool {
    let vocabulary = population.layout.shape.vocabularySize
    return (0..<population.tiles).contains { population.seen[$0 * vocabulary + token] != 0 }
  }

  /// The tokens that were read, in ascending order; rank-one directions only. Good until it is called again.
  func tokensRead() -> UnsafeBufferPointer<UInt32> {
    var count = 0
    for token in 0..<tokens.count where isRead(token) {
      tokens[count] = UInt32(token)
      count += 1
    }
    return UnsafeBufferPointer(start: tokens.pointer, count: count)
  }

  /// Gives the pairs of a tile new directions.
  /// - Parameter keepsSeen: whether the tokens read so far still count as read.
  func draw(tile: Int, lifetime: Int, keepsSeen: Bool = false) {
    let layout = population.layout
    let signs = population.signs.pointer + tile * layout.signsPerTile
    for (words, tensor) in drawn {
      fill(signs + words.lowerBound, words.count, tensor: tensor, tile: tile, lifetime: lifetime)
    }
    if layout.kind == .gaussian {
      Philox(seed: seed, domain: .normals, tensor: 0, tile: tile, epoch: lifetime >> 32).writeName(
        UInt32(truncatingIfNeeded: lifetime), to: signs + layout.nameWords)
    }
    if !keepsSeen {
      let vocabulary = layout.shape.vocabularySize
      population.seen.elements[tile * vocabulary..<(tile + 1) * vocabulary].update(repeating: 0)
    }
    for (words, offset) in kept {
      instructions.expandSigns(
        signs + words.lowerBound, rows: words.count, coefficients: shares.count > 0 ? shares.pointer : nil,
        seen: nil,
        into: columnSigns.pointer + offset + tile * tileFactors, stride: factorStride)
    }
  }

  private func fill(
    _ words: UnsafeMutablePointer<UInt16>, _ count: Int, tensor: Int, tile: Int, lifetime: Int
  ) {
    let bits = Philox(seed: seed, domain: .directions, tensor: tensor, tile: tile, epoch: lifetime >> 32)
    instructions.drawSigns(bits, high: UInt32(truncatingIfNeeded: lifetime), count: count, into: words)
  }
}

extension Layout {
  func isPerturbed(_ tensor: Tensor) -> Bool { !(exactReadout && tensor.isReadout) }

  /// The matrices that have directions, in parameter order.
  var perturbedMatrices: [TensorSlice] {
    shape.tensors.filter { !$0.tensor.isVector && isPerturbed($0.tensor) }
  }

  /// Whether directions of matrices are products of factors, or sums of such.
  var isFactored: Bool { if case .products = kind { true } else { false } }

  /// Products in the direction of a matrix.
  var products: Int { kind.rank }

  /// Words from a product's row factors to those of the next.
  func rowStep(_ slice: TensorSlice) -> Int {
    switch slice.tensor {
    case .kernel(let stage): paddedGates(ofStage: stage)
    case .readout: paddedVocabulary
    case .table, .bias, .scalars, .readoutBias: slice.rows
    }
  }

  /// Words from a product's column factors to those of the next.
  private func columnStep(_ slice: TensorSlice) -> Int {
    slice.tensor == .table ? gateStride : columnFactors(slice)
  }

  /// The words of a tensor's direction: rows and columns of products, or one range. Padding has some too.
  func signRanges(_ slice: TensorSlice) -> [Range<Int>] {
    let (rows, columns) = signs(slice.tensor)
    func range(_ first: Int, _ count: Int) -> Range<Int> { first..<first + count }
    /// From the first product's words to the end of the last one's.
    func ranges(_ rowCount: Int, _ columnCount: Int) -> [Range<Int>] {
      let others = products - 1
      return [
        range(rows, others * rowStep(slice) + rowCount),
        range(columns, others * columnStep(slice) + columnCount),
      ]
    }
    switch (slice.tensor, kind) {
    case (_, .gaussian): return []
    case (.bias, _), (.scalars, _): return [range(rows, paddedElements(of: slice.tensor))]
    case (.readoutBias, _): return [range(rows, slice.columns)]
    case (.table, .products): return ranges(slice.rows, paddedGates(ofStage: 0))
    case (.table, .rademacher): return [range(columns, slice.rows * gateStride)]
    case (.kernel(let stage), .products): return ranges(paddedGates(ofStage: stage), columnFactors(slice))
    case (.kernel(let stage), .rademacher):
      return [range(columns, paddedGates(ofStage: stage) * slice.columns)]
    case (.readout, .products): return ranges(slice.rows, slice.columns)
    case (.readout, .rademacher): return [range(columns, paddedVocabulary * slice.columns)]
    }
  }

  /// Column factors of a rank-one direction: a kernel has its own for each head.
  func columnFactors(_ slice: TensorSlice) -> Int {
    if case .kernel = slice.tensor { return heads(of: slice.tensor).count * slice.columns }
    return slice.columns
  }

  /// Their words, those of one of the products, without what pads the token table's columns.
  func columnWords(_ slice: TensorSlice, product: Int) -> [Range<Int>] {
    let first = signs(slice.tensor).columns + product * columnStep(slice)
    guard slice.tensor == .table else { return [first..<first + columnFactors(slice)] }
    return heads(of: .table).map {
      let gates = gates(ofHead: $0, stage: 0)
      return first + gates.packed..<first + gates.packed + gates.rows.count
    }
  }
}
