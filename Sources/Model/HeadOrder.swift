import CLongzooKernels
import LongzooMemory

/// The order of work for models of one stage whose weights exceed the caches: head by head and not token by token.
///
/// A head of a single stage reads no other head's state. It runs through a whole chunk, for all tiles, while its weights stay in
/// the cache; so the weights cross from memory once a chunk, and not once a token and tile. Groups of heads are the threads'
/// tasks; their number is fixed, and so is the order in which their parts of the logits are added up.
package final class HeadOrder {
  private let population: Population
  private let instructions: Instructions
  private let chunk: Int
  private let groups: Int
  private let states: Buffer<Float>  // [threads][tiles][S][D][32]
  private let logits: Buffer<Float>  // [groups][K][tiles][headLogits]
  private let chunks: Buffer<lz_chunk>  // [tiles]
  private let rows: Buffer<UnsafePointer<UInt32>?>  // [tiles][16]

  private static let mostGroups = 16
  /// Weights that several tiles would otherwise fetch from memory again and again.
  private static let leastWeightBytes = 32 << 20

  /// Whether a population is to be run so: where it can be, the states need not be carried, and the logits of a chunk are
  /// small beside the weights.
  package static func pays(for layout: Layout, pairs: Int, chunk: Int, carriesStates: Bool) -> Bool {
    let shape = layout.shape
    let weightBytes = layout.c.pointee.weights * MemoryLayout<Float>.stride
    return shape.stageCount == 1 && shape.cell.readsOwnState && layout.kind == .rank1 && !layout.exactReadout
      && !carriesStates
      && shape.heads >= mostGroups && weightBytes >= leastWeightBytes
      && logitFloats(layout, pairs: pairs, chunk: chunk) * MemoryLayout<Float>.stride <= weightBytes / 16
  }

  private static func logitFloats(_ layout: Layout, pairs: Int, chunk: Int) -> Int {
    min(mostGroups, layout.shape.heads) * chunk * Population.tiles(pairs) * lz_head_logits(layout.c)
  }

  private static func stateFloats(_ layout: Layout, pairs: Int) -> Int {
    Population.tiles(pairs) * layout.shape.cell.states * layout.shape.headSize * Tile.columns
  }

  package static func byteCount(for layout: Layout, pairs: Int, chunk: Int, threads: Int) -> Int {
    Rooms(layout, pairs: pairs, chunk: chunk, threads: threads).table.total
  }

  private struct Rooms {
    let states: Room<Float>
    let logits: Room<Float>
    let chunks: Room<lz_chunk>
    let rows: Room<UnsafePointer<UInt32>?>
    let table: MemoryTable

    init(_ layout: Layout, pairs: Int, chunk: Int, threads: Int) {
      let tiles = Population.tiles(pairs)
      var table = MemoryTable()
      states = table.add(
        threads * stateFloats(layout, pairs: pairs), .activations, for: "the states of a head")
      logits = table.add(
        logitFloats(layout, pairs: pairs, chunk: chunk), .activations, for: "the heads' parts of the logits")
      chunks = table.add(tiles, .activations, for: "the tiles' tasks")
      rows = table.add(tiles * Tile.pairs, .activations, for: "the tiles' tokens")
      self.table = table
    }
  }

  package init(
    _ population: Population, chunk: Int, threads: Int, instructions: Instructions, ledger: MemoryLedger
  ) throws(MemoryError) {
    let (layout, pairs) = (population.layout, population.pairs)
    precondition(
      layout.shape.stageCount == 1 && layout.kind == .rank1 && !layout.exactReadout
        && !population.carriesStates)
    self.population = population
    self.instructions = instructions
    self.chunk = chunk
    groups = min(Self.mostGroups, layout.shape.heads)
    let rooms = Rooms(layout, pairs: pairs, chunk: chunk, threads: threads)
    states = try rooms.states.buffer(ledger)
    logits = try rooms.logits.buffer(ledger)
    chunks = try rooms.chunks.buffer(ledger)
    rows = try rooms.rows.buffer(ledger)
  }

  /// Runs all tiles over a chunk; adds to the population's losses.
  package func run(weights: PackedWeights, epsilon: Float, tokens: TokenBlock, on pool: ThreadPool) {
    tokens.require(streams: population.streams, vocabularySize: population.layout.shape.vocabularySize)
    let count = tokens.count
    precondition(count <= chunk, "a chunk of \(count) tokens, at most \(chunk)")
    let (layout, tiles) = (population.layout, population.tiles)
    for tile in 0..<tiles {
      let row = rows.pointer + tile * Tile.pairs
      for lane in 0..<Tile.pairs {
        row[lane] = tokens.row(population.stream(ofPair: tile * Tile.pairs + lane))
      }
      chunks[tile] = population.chunk(tile: tile, weights: weights, epsilon: epsilon, rows: row, count: count)
    }
    let part = logits.count / groups / chunk * count
    let heads = layout.shape.heads
    pool.run(groups) { group, thread in
      let first = group * heads / groups
      lz_run_heads(
        instructions.code, layout.c, chunks.pointer, tiles, first, (group + 1) * heads / groups - first,
        states.pointer + thread * (states.count / pool.threads), logits.pointer + group * part,
        population.scratch(ofThread: thread))
    }
    pool.run(tiles) { tile, _ in
      lz_read_heads(instructions.code, layout.c, chunks.pointer, tiles, tile, groups, logits.pointer)
    }
  }
}
