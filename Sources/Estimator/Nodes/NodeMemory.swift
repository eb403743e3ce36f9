import LongzooMemory
import LongzooModel

/// What node perturbation takes, known before there is an estimator.
extension NodePerturbation {
  /// A tape for which every pair is a stream.
  static func plan(_ shape: ModelShape, _ c: Configuration) -> BPTTPlan {
    BPTTPlan.resolve(
      shape, BPTT.Configuration(streams: Population.tiles(c.pairs) * Tile.pairs, window: c.window))
  }

  static func layout(_ shape: ModelShape, _ c: Configuration) -> Layout {
    Layout(nodesOf: shape, movesLogits: !c.exactReadout)
  }

  /// The bytes that an estimator reserves.
  public static func byteCount(for shape: ModelShape, _ c: Configuration, threads: Int) -> MemoryTable {
    let layout = layout(shape, c)
    var table = Population.byteCount(
      for: layout, pairs: c.pairs, streams: c.streams, threads: threads, tokenSets: c.window)
    table[.parameters] = PackedWeights.byteCount(for: layout)
    table[.activations] +=
      ReadoutGradient.byteCount(for: layout, pairs: c.pairs, chunk: c.chunk)
      + Tape.byteCount(for: plan(shape, c), keepsCells: false)
      + StateDivergence.byteCount(forPairs: c.pairs)
    return table + Rooms(shape, c, threads: threads).table
  }

  /// The estimator's own buffers, besides those of its parts.
  struct Rooms {
    let coefficients: Room<Float>
    let inputs: Room<UInt32>
    let tileSums: Room<Float>
    let gradient: Room<Float>
    let table: MemoryTable

    init(_ shape: ModelShape, _ c: Configuration, threads: Int) {
      let cells = c.window * Population.tiles(c.pairs) * Tile.pairs
      var table = MemoryTable()
      coefficients = table.add(cells, .perturbations, for: "the coefficients of pairs and tokens")
      inputs = table.add(cells, .stream, for: "the window's tokens")
      tileSums = table.add(
        threads * WeightGradient.tileFloats(shape), .perturbations, for: "a tile's gradient")
      gradient = table.add(shape.parameterCount, .perturbations, for: "the gradient estimate")
      self.table = table
    }
  }

  /// The bytes of `carried`.
  public static func carriedBytes(for shape: ModelShape, _ c: Configuration) -> Int {
    Population.tiles(c.pairs) * layout(shape, c).stateFloats * MemoryLayout<Float>.stride
  }
}
