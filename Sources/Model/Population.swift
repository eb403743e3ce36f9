import CLongzooKernels
import LongzooMemory

/// The perturbed copies of the model: `pairs` pairs of columns, in tiles of 16, each carrying only its recurrent state.
///
/// Shape letters: P pairs, C = 2P columns, T tiles = ⌈P/16⌉, S streams. Pair p reads stream ⌊p·S/P⌋.
package final class Population {
  package let layout: Layout
  package let pairs: Int
  package let streams: Int
  package var tiles: Int { Self.tiles(pairs) }

  /// Whether the columns' states go on from chunk to chunk.
  package let carriesStates: Bool
  /// [T][layout.stateFloats] the states of every column; where no state is carried, [threads][layout.stateFloats] of the tiles at work.
  package let states: Buffer<Float>
  /// Tokens of a window that have signs and losses of their own: all where the gates are moved, otherwise one for all.
  package let tokenSets: Int
  /// [tokenSets][T][layout.signs] the directions.
  package let signs: Buffer<UInt16>
  /// [T][V] bit p: pair p has read the token since its direction began; empty where no weight is moved.
  package let seen: Buffer<UInt16>
  /// [tokenSets][T][32] losses of the current window in nats, summed in the order of the tokens.
  package let losses: Buffer<Double>
  /// [S][rows] clean states, valid while a restart lasts.
  private let clean: Buffer<Float>
  let scratch: Buffer<Float>
  let instructions: Instructions
  let streamOfPair: [Int]
  let turns: TileTurns

  package static func tiles(_ pairs: Int) -> Int { (pairs + Tile.pairs - 1) / Tile.pairs }

  package static func byteCount(
    for layout: Layout, pairs: Int, streams: Int, threads: Int, carriesStates: Bool = true,
    inHeadOrder: Bool = false, tokenSets: Int = 1
  ) -> MemoryTable {
    Rooms(
      layout, pairs: pairs, streams: streams, threads: threads, carriesStates: carriesStates,
      inHeadOrder: inHeadOrder, tokenSets: tokenSets
    ).table
  }

  private struct Rooms {
    let states: Room<Float>
    let losses: Room<Double>
    let scratch: Room<Float>
    let clean: Room<Float>
    let signs: Room<UInt16>
    let seen: Room<UInt16>
    let table: MemoryTable

    init(
      _ layout: Layout, pairs: Int, streams: Int, threads: Int, carriesStates: Bool, inHeadOrder: Bool,
      tokenSets: Int
    ) {
      let (tiles, state) = (tiles(pairs), layout.c.pointee.state)
      let stateSets = carriesStates ? tiles : inHeadOrder ? 0 : threads
      // Where every pair has a stream of its own, its clean state is made in place.
      let cleanStates = carriesStates && streams < pairs ? streams : 0
      var table = MemoryTable()
      states = table.add(stateSets * state, .activations, for: "the population's states")
      losses = table.add(tokenSets * tiles * Tile.columns, .activations, for: "the columns' losses")
      scratch = table.add(threads * scratchStride(layout), .activations, for: "the threads' scratch")
      clean = table.add(cleanStates * state / Tile.columns, .activations, for: "the streams' clean states")
      signs = table.add(
        tokenSets * tiles * layout.c.pointee.signs, .perturbations, for: "the directions' signs")
      seen = table.add(
        layout.movesNodes ? 0 : tiles * layout.shape.vocabularySize, .perturbations,
        for: "the tokens that were read")
      table[.activations] += TileTurns.byteCount(tiles: tiles)
      self.table = table
    }
  }

  static func scratchStride(_ layout: Layout) -> Int { (layout.c.pointee.scratch + 31) / 32 * 32 }

  /// - Parameters:
  ///   - carriesStates: false if every chunk begins with zero states and nobody asks for them behind it.
  ///   - inHeadOrder: whether a `HeadOrder` runs it, which has states of its own.
  ///   - tokenSets: the longest window, where the layout moves gates.
  package init(
    _ layout: Layout, pairs: Int, streams: Int, threads: Int, carriesStates: Bool = true,
    inHeadOrder: Bool = false, tokenSets: Int = 1, instructions: Instructions = .best, ledger: MemoryLedger
  ) throws(MemoryError) {
    precondition(pairs >= 1 && streams >= 1 && streams <= pairs, "\(streams) streams for \(pairs) pairs")
    precondition(layout.movesNodes || tokenSets == 1, "directions of weights are the same for all tokens")
    self.layout = layout
    self.tokenSets = tokenSets
    self.pairs = pairs
    self.streams = streams
    self.carriesStates = carriesStates
    self.instructions = instructions
    let rooms = Rooms(
      layout, pairs: pairs, streams: streams, threads: threads, carriesStates: carriesStates,
      inHeadOrder: inHeadOrder, tokenSets: tokenSets)
    states = try rooms.states.buffer(ledger)
    losses = try rooms.losses.buffer(ledger)
    scratch = try rooms.scratch.buffer(ledger)
    clean = try rooms.clean.buffer(ledger)
    signs = try rooms.signs.buffer(ledger)
    seen = try rooms.seen.buffer(ledger)
    let tiles = Self.tiles(pairs)
    turns = try TileTurns(tiles: tiles, ledger: ledger)
    // Padding lanes read what the last pair reads; their losses are never looked at.
    streamOfPair = (0..<tiles * Tile.pairs).map { min($0, pairs - 1) * streams / pairs }
    resetStates()
  }

  package func stream(ofPair pair: Int) -> Int { streamOfPair[pair] }

  /// The pairs that read a stream.
  package func pairs(ofStream stream: Int) -> Range<Int> {
    let first = (stream * pairs + streams - 1) / streams
    return first..<((stream + 1) * pairs + streams - 1) / streams
  }

  /// Notes that the pairs of a stream have read a token, as `run` does.
  package func markRead(_ token: Int, byStream stream: Int) {
    precondition(token < layout.shape.vocabularySize, "token \(token) of \(layout.shape.vocabularySize)")
    for pair in pairs(ofStream: stream) {
      seen[pair / Tile.pairs * layout.shape.vocabularySize + token] |= 1 << UInt16(pair % Tile.pairs)
    }
  }

  /// Runs one tile over all tokens of a block; adds to `losses`.
  /// - Parameters:
  ///   - readout: where (p − y) and h of every pair and token go, for the exact readout.
  ///   - mode: what the two columns of a pair are.
  ///   - withReadout: false if states alone are to advance, for a part of the cost.
  package func run(
    tile: Int, thread: Int, weights: PackedWeights, epsilon: Float, tokens: TokenBlock,
    readout: ReadoutRows?, mode: PopulationMode = .central, withReadout: Bool = true
  ) {
    let state = states.pointer + (carriesStates ? tile : thread) * layout.c.pointee.state
    if !carriesStates { layout.freshen(state, columns: Tile.columns) }
    withUnsafeTemporaryAllocation(of: UnsafePointer<UInt32>?.self, capacity: Tile.pairs) { rows in
      for lane in 0..<Tile.pairs { rows[lane] = tokens.row(streamOfPair[tile * Tile.pairs + lane]) }
      var chunk = chunk(
        tile: tile, weights: weights, epsilon: epsilon, rows: rows.baseAddress!, count: tokens.count)
      chunk.state = state
      if !withReadout || layout.readsInPlace { chunk.loss = nil }
      readout?.set(&chunk, tile: tile, layout)
      let room = scratch.pointer + thread * Self.scratchStride(layout)
      switch mode {
      case .central: lz_run_chunk(instructions.code, layout.c, &chunk, room)
      case .tangent: lz_run_tangent(instructions.code, layout.c, &chunk, withReadout ? 1 : 0, room)
      }
    }
  }

  /// What a kernel is told of a tile, but for its states and the exact readout's rows. `rows`: [16] the pairs' tokens.
  func chunk(
    tile: Int, weights: PackedWeights, epsilon: Float, rows: UnsafePointer<UnsafePointer<UInt32>?>, count: Int
  ) -> lz_chunk {
    var chunk = lz_chunk()
    chunk.weights = UnsafePointer(weights.values.pointer)
    chunk.plain = weights.plain
    chunk.signs = UnsafePointer(signs.pointer + tile * layout.c.pointee.signs)
    chunk.epsilon = epsilon
    chunk.tokens = rows
    chunk.count = Int64(count)
    chunk.loss = losses.pointer + tile * Tile.columns
    chunk.seen = seen.pointer + tile * layout.shape.vocabularySize
    chunk.valid = Int32(min(Tile.pairs, pairs - tile * Tile.pairs))
    chunk.tile_step = tiles
    return chunk
  }

  func scratch(ofThread thread: Int) -> UnsafeMutablePointer<Float> {
    scratch.pointer + thread * Self.scratchStride(layout)
  }

  /// The losses of a pair over the window so far, in nats: under +ε and under −ε.
  package func loss(ofPair pair: Int) -> (plus: Double, minus: Double) {
    let base = pair / Tile.pairs * Tile.columns + pair % Tile.pairs
    return (losses[base], losses[base + Tile.pairs])
  }

  /// Whether both losses of every pair are finite.
  package var lossesAreFinite: Bool {
    (0..<pairs).allSatisfy { loss(ofPair: $0).plus.isFinite && loss(ofPair: $0).minus.isFinite }
  }

  package func clearLosses() { losses.elements.update(repeating: 0) }

  /// A context begins: every state is fresh.
  package func resetStates() {
    for first in stride(from: 0, to: states.count, by: layout.stateFloats) {
      layout.freshen(states.pointer + first, columns: Tile.columns)
    }
  }

  /// Lets the pairs of the chosen tiles start again from the clean states of their streams: the mean of (h₊ + h₋)/2 over
  /// the stream's pairs, which is the unperturbed state up to O(ε²). Of a stream whose pairs lie on several machines, these
  /// have to exchange their tiles' sums.
  package func restart(_ chosen: Tiles, on pool: ThreadPool) {
    guard carriesStates else { return }
    if streams == pairs {
      pool.run(chosen.count) { index, _ in restartFromOwnMeans(tile: chosen[index]) }
    } else {
      restartFromStreams(chosen)
    }
  }

  /// Where every pair has a stream of its own, its clean state is the mean of its two columns.
  private func restartFromOwnMeans(tile: Int) {
    var row = UnsafeMutableRawPointer(states.pointer + tile * layout.c.pointee.state)
    let half = MemoryLayout<SIMD16<Float>>.size
    for _ in 0..<layout.c.pointee.state / Tile.columns {
      let mean =
        0.5 * (row.load(as: SIMD16<Float>.self) + row.load(fromByteOffset: half, as: SIMD16<Float>.self))
      row.storeBytes(of: mean, as: SIMD16<Float>.self)
      row.storeBytes(of: mean, toByteOffset: half, as: SIMD16<Float>.self)
      row += 2 * half
    }
  }

  private func restartFromStreams(_ chosen: Tiles) {
    let rows = layout.c.pointee.state / Tile.columns
    // All means come first: pairs of one stream may lie in tiles that restart and in tiles that do not. Streams ascend with
    // the pairs, so the last one is the only one that can come again.
    var last = -1
    for index in 0..<chosen.count {
      for pair in pairs(ofTile: chosen[index]) where streamOfPair[pair] != last {
        last = streamOfPair[pair]
        takeMean(ofStream: last, rows: rows)
      }
    }
    for index in 0..<chosen.count {
      let tile = chosen[index]
      for pair in pairs(ofTile: tile) {
        let from = clean.pointer + streamOfPair[pair] * rows
        let to = states.pointer + tile * layout.c.pointee.state + pair % Tile.pairs
        for row in 0..<rows {
          to[row * Tile.columns] = from[row]
          to[row * Tile.columns + Tile.pairs] = from[row]
        }
      }
    }
  }

  package func pairs(ofTile tile: Int) -> Range<Int> {
    tile * Tile.pairs..<min(pairs, (tile + 1) * Tile.pairs)
  }

  private func takeMean(ofStream stream: Int, rows: Int) {
    let to = clean.pointer + stream * rows
    let members = pairs(ofStream: stream)
    let scale = 0.5 / Float(members.count)
    for row in 0..<rows {
      to[row] =
        scale
        * TileSums.sum(members) { pair in
          let from = states.pointer + pair / Tile.pairs * layout.c.pointee.state + pair % Tile.pairs
          return from[row * Tile.columns] + from[row * Tile.columns + Tile.pairs]
        }
    }
  }

  /// The same for the pairs of one stream.
  package func resetStates(ofStream stream: Int) {
    let members = pairs(ofStream: stream)
    var pair = members.lowerBound
    while pair < members.upperBound {
      // Whole tiles at once: a memory has many rows.
      let isWhole = pair % Tile.pairs == 0 && pair + Tile.pairs <= members.upperBound && carriesStates
      if isWhole {
        let state = states.pointer + pair / Tile.pairs * layout.stateFloats
        layout.freshen(state, columns: Tile.columns)
      } else {
        resetState(ofPair: pair)
      }
      pair += isWhole ? Tile.pairs : 1
    }
  }

  /// The states of a pair are fresh again.
  package func resetState(ofPair pair: Int) {
    guard carriesStates else { return }
    let at = states.pointer + pair / Tile.pairs * layout.c.pointee.state + pair % Tile.pairs
    layout.freshen(column: at)
    layout.freshen(column: at + Tile.pairs)
  }
}
