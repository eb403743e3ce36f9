import LongzooMemory
import LongzooModel

/// θ ← keep·θ − η·Σ_p c_p·Z_p on the packed weights themselves, panel by panel, for rank-one directions.
///
/// No gradient is ever whole: a panel of A·diag(c)·Bᵀ is a product of factors that are expanded from their bits just before,
/// and is gone when the next one begins. The products are those of `ZerothOrderGradient`, cut narrower.
package final class InPlaceUpdate {
  private let directions: Directions
  private let instructions: Instructions
  private let jobs: [Job]
  private let scratch: Buffer<Float>  // [threads][scratchFloats]
  private let scratchStride: Int

  private struct Job {
    var slice: TensorSlice
    var head: Int
    /// Rows of a matrix, and where they begin in the kernels' order.
    var rows: Range<Int>
    var packed: Int
    /// Columns of a matrix or of a head's gates.
    var columns: Range<Int>
  }

  private static let panel = 10 * Tile.blockRows
  /// Rows that share one expansion of the column factors.
  private static let rowsOfJob = 8 * panel
  /// Columns of a product.
  package static let widest = 2048
  private static let tokenPanel = 48

  static func byteCount(pairs: Int, threads: Int) -> Int {
    scratchRoom(pairs: pairs, threads: threads).byteCount
  }

  private static func scratchRoom(pairs: Int, threads: Int) -> Room<Float> {
    Room(threads * scratchFloats(pairs: pairs), .perturbations, for: "the update's scratch")
  }

  /// Column factors, row factors, a panel of the product, and a block of it in the kernels' order.
  private static func scratchFloats(pairs: Int) -> Int {
    let padded = Population.tiles(pairs) * Tile.pairs
    return widest * padded + panel * padded + panel * widest + Tile.blockRows * widest
  }

  init(
    _ directions: Directions, instructions: Instructions, threads: Int, ledger: MemoryLedger
  ) throws(MemoryError) {
    let layout = directions.population.layout
    precondition(
      layout.kind == .rank1 && !layout.exactReadout, "in place: rank-one directions, for all weights")
    self.directions = directions
    self.instructions = instructions
    let pairs = directions.population.pairs
    scratchStride = Self.scratchFloats(pairs: pairs)
    scratch = try Self.scratchRoom(pairs: pairs, threads: threads).buffer(ledger)
    jobs = layout.shape.tensors.flatMap { Self.jobs($0, layout) }
  }

  private static func jobs(_ slice: TensorSlice, _ layout: Layout) -> [Job] {
    func pieces(_ range: Range<Int>, _ size: Int) -> [Range<Int>] {
      stride(from: range.lowerBound, to: range.upperBound, by: size).map {
        $0..<min(range.upperBound, $0 + size)
      }
    }
    func matrix(_ rows: Range<Int>, packed: Int, head: Int) -> [Job] {
      pieces(rows, rowsOfJob).flatMap { part in
        pieces(0..<slice.columns, widest).map {
          Job(
            slice: slice, head: head, rows: part, packed: packed + part.lowerBound - rows.lowerBound,
            columns: $0)
        }
      }
    }
    let heads = layout.heads(of: slice.tensor)
    switch slice.tensor {
    case .kernel(let stage):
      return heads.flatMap {
        let gates = layout.gates(ofHead: $0, stage: stage)
        return matrix(gates.rows, packed: gates.packed, head: $0)
      }
    case .readout: return matrix(0..<slice.rows, packed: 0, head: 0)
    case .bias(0): return []  // with the table
    case .table, .bias, .scalars:
      return heads.flatMap { head in
        let gates = layout.elements(of: slice.tensor, head: head)
        return pieces(0..<gates.rows.count, widest).map {
          Job(slice: slice, head: head, rows: 0..<0, packed: gates.packed, columns: $0)
        }
      }
    case .readoutBias:
      return pieces(0..<slice.columns, widest).map {
        Job(slice: slice, head: 0, rows: 0..<0, packed: 0, columns: $0)
      }
    }
  }

  private var population: Population { directions.population }
  private var pairs: Int { directions.paddedPairs }

  /// What a job works with.
  private struct Step {
    var weights: PackedWeights
    var coefficients: UnsafePointer<Float>
    var rate: Float
    var keep: Float
    /// [widest][pairs], [panel][pairs], [panel][widest], [12][widest]
    var columns: UnsafeMutablePointer<Float>
    var rows: UnsafeMutablePointer<Float>
    var product: UnsafeMutablePointer<Float>
    var block: UnsafeMutablePointer<Float>
  }

  /// - Parameter coefficients: [pairs rounded up to whole tiles], 0 for padding; the scale of the estimate is in them.
  func descend(
    _ weights: PackedWeights, coefficients: UnsafePointer<Float>, rate: Float, keep: Float,
    on pool: ThreadPool
  ) {
    let read = directions.tokensRead()
    pool.run(jobs.count) { index, thread in
      let columns = scratch.pointer + thread * scratchStride
      let rows = columns + Self.widest * pairs
      let product = rows + Self.panel * pairs
      let step = Step(
        weights: weights, coefficients: coefficients, rate: rate, keep: keep, columns: columns, rows: rows,
        product: product, block: product + Self.panel * Self.widest)
      let job = jobs[index]
      switch job.slice.tensor {
      case .kernel, .readout: updateMatrix(job, step)
      case .table: updateTable(job, step, read)
      case .bias, .scalars, .readoutBias: updateBias(job, step)
      }
    }
  }

  /// Signs of all pairs as floats, [count][pairs]: ±1, or ±c and 0 for pairs that have not read the row's token.
  private func expand(
    words: Int, count: Int, coefficients: UnsafePointer<Float>? = nil, token: Int? = nil,
    into out: UnsafeMutablePointer<Float>
  ) {
    let layout = population.layout
    for tile in 0..<population.tiles {
      instructions.expandSigns(
        population.signs.pointer + tile * layout.signsPerTile + words, rows: count,
        coefficients: coefficients.map { $0 + tile * Tile.pairs },
        seen: token.map { population.seen.pointer + tile * layout.shape.vocabularySize + $0 },
        into: out + tile * Tile.pairs, stride: pairs)
    }
  }

  private func updateMatrix(_ job: Job, _ step: Step) {
    let words = population.layout.signs(job.slice.tensor)
    let width = job.columns.count
    expand(
      words: words.columns + job.head * job.slice.columns + job.columns.lowerBound, count: width,
      into: step.columns)
    for first in stride(from: 0, to: job.rows.count, by: Self.panel) {
      let count = min(Self.panel, job.rows.count - first)
      expand(
        words: words.rows + job.packed + first, count: count, coefficients: step.coefficients, into: step.rows
      )
      GEMM.sumOfTiles(
        population.tiles, m: count, n: width, k: Tile.pairs, step.rows, lda: pairs, step.columns, ldb: pairs,
        into: step.product, room: step.block)
      // Rows that only pad the last block are 0.
      let padded = (count + Tile.blockRows - 1) / Tile.blockRows * Tile.blockRows
      (step.product + count * width).update(repeating: 0, count: (padded - count) * width)
      for row in stride(from: 0, to: padded, by: Tile.blockRows) {
        instructions.packRows(step.product + row * width, columns: width, into: step.block)
        let to = step.weights.block(job.slice, packedRow: job.packed + first + row)
        instructions.descend(
          count: Tile.blockRows * width, rate: step.rate, keep: step.keep, gradient: step.block,
          weights: to + job.columns.lowerBound * Tile.blockRows)
      }
    }
  }

  private func updateBias(_ job: Job, _ step: Step) {
    let first = job.packed + job.columns.lowerBound
    sum(population.layout.signs(job.slice.tensor).rows + first, job.columns.count, step)
    instructions.descend(
      count: job.columns.count, rate: step.rate, keep: step.keep, gradient: step.product,
      weights: step.weights.bias(job.slice.tensor) + first)
  }

  /// The first stage's bias moves every token's row, the table's own direction those that were read.
  private func updateTable(_ job: Job, _ step: Step, _ read: UnsafeBufferPointer<UInt32>) {
    let layout = population.layout
    let (first, width) = (job.packed + job.columns.lowerBound, job.columns.count)
    sum(layout.signs(.bias(0)).rows + first, width, step)
    for token in 0..<job.slice.rows {
      instructions.descend(
        count: width, rate: step.rate, keep: step.keep, gradient: step.product,
        weights: step.weights.gates(ofToken: token) + first)
    }
    expand(words: layout.signs(.table).columns + first, count: width, into: step.columns)
    for start in stride(from: 0, to: read.count, by: Self.tokenPanel) {
      let tokens = UnsafeBufferPointer(rebasing: read[start..<min(read.count, start + Self.tokenPanel)])
      for (index, token) in tokens.enumerated() {
        expand(
          words: layout.signs(.table).rows + Int(token), count: 1, coefficients: step.coefficients,
          token: Int(token),
          into: step.rows + index * pairs)
      }
      GEMM.sumOfTiles(
        population.tiles, m: tokens.count, n: width, k: Tile.pairs, step.rows, lda: pairs, step.columns,
        ldb: pairs, into: step.product, room: step.block)
      for (index, token) in tokens.enumerated() {
        instructions.descend(
          count: width, rate: step.rate, keep: 1, gradient: step.product + index * width,
          weights: step.weights.gates(ofToken: Int(token)) + first)
      }
    }
  }

  /// Σ ±c for words of every tile, into the product's room.
  private func sum(_ words: Int, _ count: Int, _ step: Step) {
    instructions.sumSigns(
      population.signs.pointer + words, tileStride: population.layout.signsPerTile, tiles: population.tiles,
      count: count, coefficients: step.coefficients, into: step.product)
  }
}
