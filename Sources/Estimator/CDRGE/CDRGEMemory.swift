import LongzooMemory
import LongzooModel

/// What an estimator takes, known before there is one.
extension CDRGE {
  /// The order of weights and directions in the kernels, for a model under a configuration.
  public static func layout(for shape: ModelShape, _ c: Configuration) -> Layout {
    Layout(
      shape, kind: c.kind, exactReadout: c.exactReadout,
      readsInPlace: c.exactReadout && c.method != .tangent && (c.isApart ?? isLarge(shape, pairs: c.pairs)))
  }

  /// An exact readout is done apart, in strips, beyond so many ids, if what it would hand out of a token, p − y of all pairs and ids, takes
  /// more than so many bytes.
  private static let smallVocabulary = 4096
  private static let largestRows = 4 << 20

  /// Whether the exact readout is done apart (`ReadoutApart`).
  static func isLarge(_ shape: ModelShape, pairs: Int) -> Bool {
    let rows = Population.tiles(pairs) * Tile.pairs * shape.vocabularySize * MemoryLayout<Float>.stride
    return shape.vocabularySize > smallVocabulary && rows > largestRows
  }

  /// Whether the gradient of the table and the readout is made in parts only, and never whole.
  static func givesParts(_ layout: Layout, _ c: Configuration) -> Bool {
    c.givesParts && c.isWindowWhole && layout.readsInPlace && layout.isFactored && c.method != .persistent
  }

  /// What `gradient` holds.
  static func heldParameters(_ layout: Layout, _ c: Configuration) -> Range<Int> {
    let shape = layout.shape
    if c.inPlace { return 0..<0 }
    guard givesParts(layout, c) else { return 0..<shape.parameterCount }
    return shape.slice(.table).range.upperBound..<shape.slice(.readout).offset
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
    table[.activations] +=
      layout.readsInPlace
      ? ReadoutApart.byteCount(
        for: layout, pairs: c.pairs, chunk: c.chunk, keepsSums: !c.isWindowWhole, threads: threads)
      : ReadoutGradient.byteCount(for: layout, pairs: c.pairs, chunk: c.chunk)
    table[.perturbations] +=
      Directions.byteCount(for: layout, pairs: c.pairs, keepsFactors: !c.inPlace)
      + (c.inPlace
        ? InPlaceUpdate.byteCount(pairs: c.pairs, threads: threads)
        : ZerothOrderGradient.byteCount(for: layout, pairs: c.pairs, threads: threads))
      + (c.method.isUnrolled ? UnrollStart.wordsRoom.byteCount : 0)
    return table + Rooms(layout, c).table
      + EstimateMeters.byteCount(
        for: layout, pairs: c.pairs, carriesStates: c.carriesStates, method: c.method, inPlace: c.inPlace)
  }

  /// The estimator's own buffers, besides those of its parts.
  struct Rooms {
    let coefficients: Room<Float>
    let earlier: Room<Float>
    let gradient: Room<Float>
    let squares: Room<Double>
    let table: MemoryTable

    init(_ layout: Layout, _ c: Configuration) {
      let shape = layout.shape
      var table = MemoryTable()
      coefficients = table.add(
        Population.tiles(c.pairs) * Tile.pairs, .perturbations, for: "the pairs' coefficients")
      earlier = table.add(
        c.method == .persistent ? shape.parameterCount : 0, .perturbations,
        for: "the earlier directions' share")
      gradient = table.add(
        heldParameters(layout, c).count, .perturbations, for: "the gradient estimate")
      squares = table.add(
        givesParts(layout, c) ? ZerothOrderGradient.mostTablePanels(layout) : 0, .perturbations,
        for: "the estimate's norm")
      self.table = table
    }
  }

  static func isInHeadOrder(_ layout: Layout, _ c: Configuration) -> Bool {
    c.inPlace && c.method == .central
      && HeadOrder.pays(for: layout, pairs: c.pairs, chunk: c.chunk, carriesStates: c.carriesStates)
  }

  /// The chunk that keeps the exact readout's rows within about 4 MiB; it does not depend on the context.
  /// - Parameters:
  ///   - window: tokens of a window, the most that a chunk can have; nil for a whole context.
  ///   - isApart: whether a readout that is large is done apart, which leaves h and no p − y; within 16 MiB then.
  /// - Returns: tokens of a stream, from 1 to 256.
  public static func chunk(
    for shape: ModelShape, pairs: Int, exactReadout: Bool, window: Int?, isApart: Bool = false
  ) -> Int {
    let layout = Layout(shape, kind: .rank1, exactReadout: exactReadout)
    let apart = isApart && isLarge(shape, pairs: pairs)
    let floats = apart ? layout.hiddenTile + layout.inputTile : layout.readoutTileFloats
    let bytesPerToken = Population.tiles(pairs) * floats * MemoryLayout<Float>.stride
    let most = exactReadout ? max(1, min(256, (apart ? 16 << 20 : 4 << 20) / bytesPerToken)) : 256
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
