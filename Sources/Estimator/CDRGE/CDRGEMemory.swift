import LongzooMemory
import LongzooModel

/// What an estimator takes, known before there is one.
extension CDRGE {
  /// The order of weights and directions in the kernels, for a model under a configuration.
  public static func layout(for shape: ModelShape, _ c: Configuration) -> Layout {
    Layout(shape, kind: c.kind, exactReadout: c.exactReadout)
  }

  /// The bytes that an estimator reserves.
  public static func byteCount(for shape: ModelShape, _ c: Configuration, threads: Int) -> MemoryTable {
    let layout = layout(for: shape, c)
    let inHeadOrder = isInHeadOrder(layout, c)
    var table = Population.byteCount(
      for: layout, pairs: c.pairs, streams: c.streams, threads: threads, carriesStates: c.carriesStates,
      inHeadOrder: inHeadOrder)
    if inHeadOrder {
      table[.activations] += HeadOrder.byteCount(
        for: layout, pairs: c.pairs, chunk: c.chunk, threads: threads)
    }
    table[.parameters] = PackedWeights.byteCount(for: layout)
    table[.activations] += ReadoutGradient.byteCount(for: layout, pairs: c.pairs, chunk: c.chunk)
    table[.perturbations] +=
      Directions.byteCount(for: layout, pairs: c.pairs, keepsFactors: !c.inPlace)
      + (c.inPlace
        ? InPlaceUpdate.byteCount(pairs: c.pairs, threads: threads)
        : ZerothOrderGradient.byteCount(for: layout, pairs: c.pairs, threads: threads))
      + (c.method.isUnrolled ? UnrollStart.wordsRoom.byteCount : 0)
    return table + Rooms(shape, c).table
      + EstimateMeters.byteCount(
        for: layout, pairs: c.pairs, carriesStates: c.carriesStates, method: c.method, inPlace: c.inPlace)
  }

  /// The estimator's own buffers, besides those of its parts.
  struct Rooms {
    let coefficients: Room<Float>
    let earlier: Room<Float>
    let gradient: Room<Float>
    let table: MemoryTable

    init(_ shape: ModelShape, _ c: Configuration) {
      var table = MemoryTable()
      coefficients = table.add(
        Population.tiles(c.pairs) * Tile.pairs, .perturbations, for: "the pairs' coefficients")
      earlier = table.add(
        c.method == .persistent ? shape.parameterCount : 0, .perturbations,
        for: "the earlier directions' share")
      gradient = table.add(
        c.inPlace ? 0 : shape.parameterCount, .perturbations, for: "the gradient estimate")
      self.table = table
    }
  }

  static func isInHeadOrder(_ layout: Layout, _ c: Configuration) -> Bool {
    c.inPlace && c.method == .central
      && HeadOrder.pays(for: layout, pairs: c.pairs, chunk: c.chunk, carriesStates: c.carriesStates)
  }

  /// The chunk that keeps the exact readout's rows within about 4 MiB; it does not depend on the context.
  /// - Parameter window: tokens of a window, the most that a chunk can have; nil for a whole context.
  /// - Returns: tokens of a stream, from 1 to 256.
  public static func chunk(for shape: ModelShape, pairs: Int, exactReadout: Bool, window: Int?) -> Int {
    let layout = Layout(shape, kind: .rank1, exactReadout: exactReadout)
    let bytesPerToken =
      Population.tiles(pairs) * layout.readoutTileFloats * MemoryLayout<Float>.stride
    let most = exactReadout ? max(1, min(256, (4 << 20) / bytesPerToken)) : 256
    return min(window ?? most, most)
  }

  /// The bytes of `carried`.
  public static func carriedBytes(for shape: ModelShape, _ c: Configuration) -> Int {
    let tiles = Population.tiles(c.pairs)
    let words = tiles * shape.vocabularySize + (c.method.isUnrolled ? UnrollStart.wordsRoom.count : 0)
    let floats = c.carriesStates ? tiles * layout(for: shape, c).stateFloats : 0
    return floats * MemoryLayout<Float>.stride + words * MemoryLayout<UInt16>.stride
  }
}
