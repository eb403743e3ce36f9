import LongzooMemory
import LongzooModel

/// The exact gradient of the readout, summed online: ∂L_t/∂W = (p_t − y_t)·h_tᵀ needs no memory of the past.
///
/// p and h are the means over both columns of a pair. What a chunk of tokens leaves is kept, and enters the sum as one
/// product; so memory grows with the chunk and not with the window. No split into chunks changes a bit of the sum.
///
/// Tiles lie in groups, each with a sum of its own over all tokens of the window; the groups are added up in their order when the
/// window ends. So groups may be summed on several machines: all that these have to exchange is one sum a group, once a window.
/// The number of groups follows from the readout's size and the number of tiles, never from that of machines or threads, and up to
/// that number a group is one tile. A machine's share of the pairs has to end where a group ends.
final class ReadoutGradient: ReadoutSum {
  private let layout: Layout
  private let tiles: Int
  private let groups: Int
  private let instructions: Instructions
  private let delta: Buffer<Float>  // [chunk][tiles][deltaTile]
  private let input: Buffer<Float>  // [chunk][tiles][inputTile]
  private let sums: Buffer<Float>  // [groups][V padded][H padded]
  private let biasSums: Buffer<Float>  // [groups][V padded][16]
  private var isEmpty = true

  private var blocks: Int { layout.paddedVocabulary / Tile.blockRows }

  /// A power of two, as machines often are.
  private static let mostGroups = 8
  /// There are always so many: two sums are fetched from memory no more often than one is for as many tiles.
  private static let leastGroups = 2
  /// More groups than the least take no more than this, in bytes: beyond it the sums leave the caches at every chunk.
  private static let sumsBytes = 16 << 20

  private static func sumFloats(_ layout: Layout) -> Int { layout.paddedVocabulary * layout.paddedInputs }

  /// Sums that are kept of a window: as many as there are tiles, but at most 8, or 4 or 2 where the readout is large.
  static func groups(for layout: Layout, tiles: Int) -> Int {
    var groups = mostGroups
    while groups > leastGroups, groups * sumFloats(layout) * MemoryLayout<Float>.stride > sumsBytes {
      groups /= 2
    }
    return min(groups, tiles)
  }

  static func byteCount(for layout: Layout, pairs: Int, chunk: Int) -> Int {
    layout.exactReadout ? Rooms(layout, pairs: pairs, chunk: chunk).table.total : 0
  }

  private struct Rooms {
    let delta: Room<Float>
    let input: Room<Float>
    let sums: Room<Float>
    let biasSums: Room<Float>
    let table: MemoryTable

    init(_ layout: Layout, pairs: Int, chunk: Int) {
      let tiles = Population.tiles(pairs)
      let groups = groups(for: layout, tiles: tiles)
      var table = MemoryTable()
      let rows = "the exact readout's rows"
      delta = table.add(chunk * tiles * layout.deltaTile, .activations, for: rows)
      input = table.add(chunk * tiles * layout.inputTile, .activations, for: rows)
      sums = table.add(groups * sumFloats(layout), .activations, for: "the readout's gradient")
      biasSums = table.add(
        groups * layout.paddedVocabulary * Tile.pairs, .activations, for: "the readout's gradient")
      self.table = table
    }
  }

  init(
    _ layout: Layout, pairs: Int, chunk: Int, instructions: Instructions, ledger: MemoryLedger
  ) throws(MemoryError) {
    self.layout = layout
    self.instructions = instructions
    tiles = Population.tiles(pairs)
    groups = Self.groups(for: layout, tiles: tiles)
    let rooms = Rooms(layout, pairs: pairs, chunk: chunk)
    delta = try rooms.delta.buffer(ledger)
    input = try rooms.input.buffer(ledger)
    sums = try rooms.sums.buffer(ledger)
    biasSums = try rooms.biasSums.buffer(ledger)
  }

  var rows: ReadoutRows { ReadoutRows(delta: delta.pointer, input: input.pointer) }

  private func sum(_ group: Int) -> UnsafeMutablePointer<Float> {
    sums.pointer + group * Self.sumFloats(layout)
  }

  private func biasSum(_ group: Int) -> UnsafeMutablePointer<Float> {
    biasSums.pointer + group * layout.paddedVocabulary * Tile.pairs
  }

  func rows(forTokens count: Int, on pool: ThreadPool) -> ReadoutRows { rows }

  func accumulate(
    _ tokens: TokenBlock, of population: Population, _ weights: PackedWeights, on pool: ThreadPool
  ) {
    accumulate(tokens: tokens.count, on: pool)
  }

  /// Adds the rows of a chunk of `tokens` tokens.
  func accumulate(tokens: Int, on pool: ThreadPool) {
    let shares = min(blocks, 4 * pool.threads)
    pool.run(shares) { share, _ in
      let mine = blocks * share / shares..<blocks * (share + 1) / shares
      for group in 0..<groups {
        instructions.readoutGradient(
          layout, rows, tokens: tokens, tiles: tiles * group / groups..<tiles * (group + 1) / groups,
          of: tiles, blocks: mine, fresh: isEmpty, sum: sum(group), bias: biasSum(group))
      }
    }
    isEmpty = false
  }

  func finish(scale: Float, into gradient: UnsafeMutablePointer<Float>, on pool: ThreadPool) {
    let weights = layout.shape.slice(.readout)
    let bias = layout.shape.slice(.readoutBias)
    pool.run(blocks) { block, _ in
      for row in block * Tile.blockRows..<min(weights.rows, (block + 1) * Tile.blockRows) {
        instructions.readoutTotal(
          layout, sums: sums.pointer, biases: biasSums.pointer, groups: groups,
          rows: layout.paddedVocabulary, scale: scale, row: row,
          into: gradient + weights.offset + row * weights.columns, bias: gradient + bias.offset + row)
      }
    }
    isEmpty = true
  }

  func discard() { isEmpty = true }
}
