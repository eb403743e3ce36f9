import LongzooMemory
import LongzooModel

/// The exact readout of large vocabularies, and its gradient: two passes over strips of its rows (`ReadoutSamples`), so that p − y is never
/// there for all ids.
///
/// Sums are those of `ReadoutGradient`, to the bit. A window that is no longer than a chunk needs none of all rows: each strip's is
/// made when the window ends, and is gone when the next one begins.
///
/// Not for small vocabularies, whose p − y fits the caches: logits are computed twice here.
final class ReadoutApart: ReadoutSum {
  private let layout: Layout
  private let tiles: Int
  private let groups: Int
  private let instructions: Instructions
  private let samples: ReadoutSamples
  private let references: Buffer<Float>  // [threads][chunk][T][32]
  private let sums: Buffer<Float>  // [strips, or threads][groups][96][H padded]
  private let biasSums: Buffer<Float>  // [strips, or threads][groups][96][16]
  private let keepsSums: Bool
  /// Rows of the gradient of a strip, and their biases.
  private let parts: Buffer<Float>  // [threads][96][H + 1]
  private let referencesOfThread: Int
  private var isEmpty = true

  private struct Rooms {
    let references: Room<Float>
    let sums: Room<Float>
    let biasSums: Room<Float>
    let parts: Room<Float>
    let table: MemoryTable

    init(_ layout: Layout, tiles: Int, chunk: Int, keepsSums: Bool, threads: Int) {
      let sets = groups(layout, tiles) * (keepsSums ? layout.strips : threads)
      var table = MemoryTable()
      references = table.add(
        threads * chunk * tiles * Tile.columns, .activations, for: "a strip of the readout")
      sums = table.add(
        sets * Layout.stripRows * layout.paddedInputs, .activations, for: "the readout's gradient")
      biasSums = table.add(sets * Layout.stripRows * Tile.pairs, .activations, for: "the readout's gradient")
      parts = table.add(
        threads * Layout.stripRows * (layout.shape.readoutInputs + 1), .activations,
        for: "a strip of the readout's gradient")
      self.table = table
    }
  }

  private static func groups(_ layout: Layout, _ tiles: Int) -> Int {
    ReadoutGradient.groups(for: layout, tiles: tiles)
  }

  /// The most tiles of a group.
  private static func tilesOfSum(_ layout: Layout, _ tiles: Int) -> Int {
    (tiles + groups(layout, tiles) - 1) / groups(layout, tiles)
  }

  static func byteCount(for layout: Layout, pairs: Int, chunk: Int, keepsSums: Bool, threads: Int) -> Int {
    let tiles = Population.tiles(pairs)
    return Rooms(layout, tiles: tiles, chunk: chunk, keepsSums: keepsSums, threads: threads).table.total
      + ReadoutSamples.byteCount(
        for: layout, tiles: tiles, tilesOfSum: tilesOfSum(layout, tiles), capacity: chunk, threads: threads)
  }

  /// - Parameters:
  ///   - chunk: tokens that are held at a time.
  ///   - keepsSums: whether a window may be longer.
  init(
    _ layout: Layout, pairs: Int, chunk: Int, keepsSums: Bool, threads: Int, instructions: Instructions,
    ledger: MemoryLedger
  ) throws(MemoryError) {
    self.layout = layout
    self.keepsSums = keepsSums
    self.instructions = instructions
    tiles = Population.tiles(pairs)
    groups = Self.groups(layout, tiles)
    samples = try ReadoutSamples(
      layout, tiles: tiles, tilesOfSum: Self.tilesOfSum(layout, tiles), capacity: chunk, threads: threads,
      instructions: instructions, ledger: ledger)
    let rooms = Rooms(layout, tiles: tiles, chunk: chunk, keepsSums: keepsSums, threads: threads)
    references = try rooms.references.buffer(ledger)
    sums = try rooms.sums.buffer(ledger)
    biasSums = try rooms.biasSums.buffer(ledger)
    parts = try rooms.parts.buffer(ledger)
    referencesOfThread = chunk * tiles * Tile.columns
  }

  func rows(forTokens count: Int, on pool: ThreadPool) -> ReadoutRows {
    if samples.tokens + count > samples.capacity {
      precondition(keepsSums, "a window of more than \(samples.capacity) tokens")
      eachStrip(on: pool) { _, _, _ in }
      isEmpty = false
      samples.clear()
    }
    return samples.rows
  }

  func accumulate(
    _ tokens: TokenBlock, of population: Population, _ weights: PackedWeights, on pool: ThreadPool
  ) {
    samples.read(tokens, of: population, weights, on: pool)
  }

  /// Adds what is held to the sums of every strip, and lends it: [groups][96][…].
  private func eachStrip(
    on pool: ThreadPool, _ body: (_ strip: Int, _ place: Int, _ thread: Int) -> Void
  ) {
    pool.run(layout.stretches) { stretch, thread in
      let first = stretch * Layout.stripsOfStretch
      for strip in first..<min(layout.strips, first + Layout.stripsOfStretch) {
        let place = keepsSums ? strip : thread
        for group in 0..<groups where samples.tokens > 0 {
          samples.add(
            strip: strip, tiles: tiles * group / groups..<tiles * (group + 1) / groups, fresh: isEmpty,
            references: references.pointer + thread * referencesOfThread, to: sum(place, group),
            bias: biasSum(place, group), thread: thread)
        }
        body(strip, place, thread)
      }
    }
  }

  private func sum(_ place: Int, _ group: Int) -> UnsafeMutablePointer<Float> {
    sums.pointer + (place * groups + group) * Layout.stripRows * layout.paddedInputs
  }

  private func biasSum(_ place: Int, _ group: Int) -> UnsafeMutablePointer<Float> {
    biasSums.pointer + (place * groups + group) * Layout.stripRows * Tile.pairs
  }

  /// Rows of scale · a strip's sums.
  private func writeTotals(
    _ strip: Int, _ place: Int, scale: Float, to weights: UnsafeMutablePointer<Float>,
    biases: UnsafeMutablePointer<Float>
  ) {
    for row in 0..<rows(ofStrip: strip).count {
      instructions.readoutTotal(
        layout, sums: sum(place, 0), biases: biasSum(place, 0), groups: groups, rows: Layout.stripRows,
        scale: scale, row: row, into: weights + row * layout.shape.readoutInputs, bias: biases + row)
    }
  }

  private func rows(ofStrip strip: Int) -> Range<Int> {
    strip * Layout.stripRows..<min(layout.shape.vocabularySize, (strip + 1) * Layout.stripRows)
  }

  func finish(scale: Float, into gradient: UnsafeMutablePointer<Float>, on pool: ThreadPool) {
    let weights = gradient + layout.shape.slice(.readout).offset
    let biases = gradient + layout.shape.slice(.readoutBias).offset
    eachStrip(on: pool) { strip, place, _ in
      let first = strip * Layout.stripRows
      writeTotals(
        strip, place, scale: scale, to: weights + first * layout.shape.readoutInputs, biases: biases + first)
    }
    discard()
  }

  /// Lends the gradient strip by strip, as `finish` would write it; the readout's rows of a strip may change as soon as it was lent.
  func finish(scale: Float, on pool: ThreadPool, _ body: GradientParts.Body) {
    let (weights, biases) = (layout.shape.slice(.readout), layout.shape.slice(.readoutBias))
    let columns = weights.columns
    eachStrip(on: pool) { strip, place, thread in
      let rows = rows(ofStrip: strip)
      let part = parts.pointer + thread * Layout.stripRows * (columns + 1)
      let bias = part + Layout.stripRows * columns
      writeTotals(strip, place, scale: scale, to: part, biases: bias)
      body(weights.offset + rows.lowerBound * columns, rows.count * columns, part)
      body(biases.offset + rows.lowerBound, rows.count, bias)
    }
    discard()
  }

  func discard() {
    isEmpty = true
    samples.clear()
  }
}
