import CLongzooKernels
import LongzooMemory

/// What an exact readout that is done apart works on: h of every token of a chunk under both columns of all pairs, and what has to be
/// predicted there.
///
/// The readout takes two passes over strips of its rows. `read` gives the losses; `add` has a strip's logits again, and adds its
/// (p − y)·hᵀ to a sum. So p − y is there for one strip at a time, and memory does not grow with ids times pairs.
package final class ReadoutSamples {
  private let layout: Layout
  private let instructions: Instructions
  private let tiles: Int
  /// Tokens that there is room for, and those that there are.
  package let capacity: Int
  package private(set) var tokens = 0
  private let hidden: Buffer<Float>  // [capacity][T][H][32]
  private let targets: Buffer<UInt32>  // [capacity][T][16]
  private let sums: Buffer<Float>  // [capacity][T][3][32]
  private let starts: Buffer<Float>  // [stretches][capacity][T][32]
  private let input: Buffer<Float>  // [capacity][T][inputTile]
  private let scratch: Buffer<Float>  // [threads][scratchStride]
  private let scratchStride: Int
  private var plain = lz_plain()

  /// Tiles that share one packing of a strip in the first pass.
  private static let tilesOfTask = 4

  private struct Rooms {
    let hidden: Room<Float>
    let targets: Room<UInt32>
    let sums: Room<Float>
    let starts: Room<Float>
    let input: Room<Float>
    let scratch: Room<Float>
    let table: MemoryTable

    init(_ layout: Layout, tiles: Int, tilesOfSum: Int, capacity: Int, threads: Int) {
      let samples = capacity * tiles
      let rows = "the exact readout's rows"
      var table = MemoryTable()
      hidden = table.add(samples * layout.hiddenTile, .activations, for: rows)
      targets = table.add(samples * Tile.pairs, .activations, for: rows)
      sums = table.add(samples * 3 * Tile.columns, .activations, for: rows)
      starts = table.add(layout.stretches * samples * Tile.columns, .activations, for: rows)
      input = table.add(samples * layout.inputTile, .activations, for: rows)
      scratch = table.add(
        threads * scratchStride(layout, samples: capacity * tilesOfSum), .activations,
        for: "a strip of the readout")
      self.table = table
    }
  }

  /// Floats of a thread's scratch.
  private static func scratchStride(_ layout: Layout, samples: Int) -> Int {
    (lz_strip_scratch(layout.c, samples) + 15) / 16 * 16
  }

  /// - Parameter tilesOfSum: the most that are added to one sum.
  package static func byteCount(
    for layout: Layout, tiles: Int, tilesOfSum: Int, capacity: Int, threads: Int
  ) -> Int {
    Rooms(layout, tiles: tiles, tilesOfSum: tilesOfSum, capacity: capacity, threads: threads).table.total
  }

  package init(
    _ layout: Layout, tiles: Int, tilesOfSum: Int, capacity: Int, threads: Int, instructions: Instructions,
    ledger: MemoryLedger
  ) throws(MemoryError) {
    self.layout = layout
    self.instructions = instructions
    self.tiles = tiles
    self.capacity = capacity
    let rooms = Rooms(layout, tiles: tiles, tilesOfSum: tilesOfSum, capacity: capacity, threads: threads)
    hidden = try rooms.hidden.buffer(ledger)
    targets = try rooms.targets.buffer(ledger)
    sums = try rooms.sums.buffer(ledger)
    starts = try rooms.starts.buffer(ledger)
    input = try rooms.input.buffer(ledger)
    scratch = try rooms.scratch.buffer(ledger)
    scratchStride = Self.scratchStride(layout, samples: capacity * tilesOfSum)
  }

  /// Where the kernels put h of the next tokens.
  package var rows: ReadoutRows { .apart(hidden: hidden.pointer + tokens * tiles * layout.hiddenTile) }

  package func clear() { tokens = 0 }

  private var samples: lz_samples {
    lz_samples(
      plain: plain, tokens: tokens, token_tiles: tiles, hidden: hidden.pointer, targets: targets.pointer,
      sums: sums.pointer, starts: starts.pointer, stretch_step: capacity * tiles * Tile.columns,
      input: input.pointer)
  }

  /// The first pass over the tokens whose h has just come: adds to the population's losses.
  package func read(
    _ block: TokenBlock, of population: Population, _ weights: PackedWeights, on pool: ThreadPool
  ) {
    precondition(tokens + block.count <= capacity, "\(tokens) + \(block.count) tokens of \(capacity)")
    plain = weights.plain
    note(block, population)
    let first = tokens
    tokens += block.count
    let (tiles, all) = (tiles, samples)
    pool.run((tiles + Self.tilesOfTask - 1) / Self.tilesOfTask) { task, thread in
      var all = all
      let tile = task * Self.tilesOfTask
      lz_read_samples(
        instructions.code, layout.c, &all, first, tile, min(Self.tilesOfTask, tiles - tile),
        population.losses.pointer + tile * Tile.columns, scratch.pointer + thread * scratchStride)
    }
  }

  /// What the pairs have to predict; lanes that only pad a tile have nothing to.
  private func note(_ block: TokenBlock, _ population: Population) {
    for pair in 0..<tiles * Tile.pairs {
      let row = block.row(population.stream(ofPair: pair))
      let to = targets.pointer + (tokens * tiles + pair / Tile.pairs) * Tile.pairs + pair % Tile.pairs
      for token in 0..<block.count {
        to[token * tiles * Tile.pairs] =
          pair < population.pairs ? row[token + 1] : row[token + 1] | TokenMark.mark
      }
    }
  }

  /// The second pass: adds a strip's Σ (p − y)·hᵀ of some tiles to `sum` [96][H padded], and Σ (p − y) to `bias` [96][16]; begins them anew
  /// if `fresh`.
  /// - Parameter references: [capacity][T][32], the thread's: kept from one strip of a stretch to the next.
  package func add(
    strip: Int, tiles: Range<Int>, fresh: Bool, references: UnsafeMutablePointer<Float>,
    to sum: UnsafeMutablePointer<Float>, bias: UnsafeMutablePointer<Float>, thread: Int
  ) {
    var all = samples
    lz_strip_gradient(
      instructions.code, layout.c, &all, strip, tiles.lowerBound, tiles.count, fresh ? 1 : 0, references, sum,
      bias, scratch.pointer + thread * scratchStride)
  }
}

extension Layout {
  /// Rows of a strip.
  package static var stripRows: Int { Int(LZ_STRIP) * Tile.blockRows }
  /// Strips of the readout's rows, and stretches of strips that go one after the other.
  package var strips: Int { lz_strips(c) }
  package static var stripsOfStretch: Int { Int(LZ_STRETCH) }
  package var stretches: Int { (strips + Self.stripsOfStretch - 1) / Self.stripsOfStretch }
}
