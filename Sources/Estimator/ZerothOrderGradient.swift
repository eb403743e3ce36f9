import Memory
import Model

/// Σ_p c_p·Z_p over all pairs, for every perturbed tensor.
///
/// Rank-one: A·diag(c)·Bᵀ, one GEMM a panel of rows. Full-rank: sums of ±c straight from the sign words.
///
/// A row of the token table that a pair has not read since its direction began cannot have moved its loss: the pair is
/// left out of that row. The expectation is the same, and the noise of rows that are seldom read is gone.
final class ZerothOrderGradient {
  private let directions: Directions
  private let instructions: Instructions
  private let jobs: [Job]
  private let scratch: Buffer<Float>  // [threads][scratchStride]
  private let scratchStride: Int

  private struct Job {
    var slice: TensorSlice
    var rows: Range<Int>
  }

  /// Rows of one GEMM; a multiple of the kernels' blocks.
  private static let panel = 5 * Tile.blockRows

  static func byteCount(for layout: Layout, pairs: Int, threads: Int) -> Int {
    Buffer<Float>.byteCount(for: threads * scratchFloats(layout, pairs: pairs))
  }

  private static func scratchFloats(_ layout: Layout, pairs: Int) -> Int {
    let padded = Population.tiles(pairs) * Tile.pairs
    let widest = layout.perturbedMatrices.map(\.columns).max() ?? 0
    switch layout.kind {
    case .rank1: return panel * padded + (panel * widest + 15) / 16 * 16
    case .rademacher: return padded + (Tile.blockRows * widest + 15) / 16 * 16
    }
  }

  init(
    _ directions: Directions, instructions: Instructions, threads: Int, ledger: MemoryLedger
  ) throws(MemoryError) {
    self.directions = directions
    self.instructions = instructions
    let layout = directions.population.layout
    scratchStride = Self.scratchFloats(layout, pairs: directions.population.pairs)
    scratch = try Buffer(
      count: threads * scratchStride, .perturbations, for: "the update's scratch", ledger: ledger)
    jobs = layout.shape.tensors.filter { layout.isPerturbed($0.tensor) }.flatMap { slice in
      stride(from: 0, to: slice.rows, by: Self.panel).map {
        Job(slice: slice, rows: $0..<min(slice.rows, $0 + Self.panel))
      }
    }
  }

  /// Writes the sums to `gradient`.
  /// - Parameter coefficients: [pairs rounded up to whole tiles], 0 for padding; the scale is in them.
  func compute(
    coefficients: UnsafePointer<Float>, into gradient: UnsafeMutablePointer<Float>, on pool: ThreadPool
  ) {
    pool.run(jobs.count) { task, thread in
      let job = jobs[task]
      let out = gradient + job.slice.offset
      let room = scratch.pointer + thread * scratchStride
      switch (job.slice.tensor, directions.population.layout.kind) {
      case (.bias, _), (.readoutBias, _): addVector(job, coefficients, out)
      case (.table, .rank1): addTableRows(job, coefficients, out, room)
      case (.table, .rademacher): addDenseTableRows(job, coefficients, out, room)
      case (_, .rank1): addRows(job, coefficients, out, room)
      case (_, .rademacher): addDenseRows(job, coefficients, out, room)
      }
    }
  }

  private var population: Population { directions.population }
  private var pairs: Int { directions.paddedPairs }

  /// ±c of row factor a for rows `rows`, [rows][pairs].
  private func expand(
    _ job: Job, row: Int, count: Int, _ coefficients: UnsafePointer<Float>, masked: Bool,
    into room: UnsafeMutablePointer<Float>
  ) {
    let layout = population.layout
    for tile in 0..<population.tiles {
      instructions.expandSigns(
        population.signs.pointer + tile * layout.signsPerTile + layout.signs(job.slice.tensor).rows + row,
        rows: count, coefficients: coefficients + tile * Tile.pairs,
        seen: masked ? population.seen.pointer + tile * layout.shape.vocabularySize + row : nil,
        into: room + tile * Tile.pairs, stride: pairs)
    }
  }

  private func addRows(
    _ job: Job, _ coefficients: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>,
    _ room: UnsafeMutablePointer<Float>
  ) {
    let columns = job.slice.columns
    expand(job, row: job.rows.lowerBound, count: job.rows.count, coefficients, masked: false, into: room)
    GEMM.timesTransposed(
      m: job.rows.count, n: columns, k: pairs, room, lda: pairs, directions.columns(job.slice.tensor),
      ldb: pairs,
      into: out + job.rows.lowerBound * columns, ldc: columns)
  }

  private func isSeen(_ row: Int) -> Bool {
    let vocabulary = population.layout.shape.vocabularySize
    return (0..<population.tiles).contains { population.seen[$0 * vocabulary + row] != 0 }
  }

  /// Only the rows that somebody has read take part; the others are 0.
  private func addTableRows(
    _ job: Job, _ coefficients: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>,
    _ room: UnsafeMutablePointer<Float>
  ) {
    let columns = job.slice.columns
    var read: [Int] = []
    for row in job.rows where isSeen(row) { read.append(row) }
    for (index, row) in read.enumerated() {
      expand(job, row: row, count: 1, coefficients, masked: true, into: room + index * pairs)
    }
    let compact = room + Self.panel * pairs
    if !read.isEmpty {
      GEMM.timesTransposed(
        m: read.count, n: columns, k: pairs, room, lda: pairs, directions.columns(.table), ldb: pairs,
        into: compact, ldc: columns)
    }
    (out + job.rows.lowerBound * columns).update(repeating: 0, count: job.rows.count * columns)
    for (index, row) in read.enumerated() {
      (out + row * columns).update(from: compact + index * columns, count: columns)
    }
  }

  private func addVector(_ job: Job, _ coefficients: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>)
  {
    let layout = population.layout
    instructions.sumSigns(
      population.signs.pointer + layout.signs(job.slice.tensor).rows, tileStride: layout.signsPerTile,
      tiles: population.tiles, count: job.slice.columns, coefficients: coefficients, into: out)
  }

  private func addDenseTableRows(
    _ job: Job, _ coefficients: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>,
    _ room: UnsafeMutablePointer<Float>
  ) {
    let layout = population.layout
    let vocabulary = layout.shape.vocabularySize
    for row in job.rows {
      let to = out + row * job.slice.columns
      guard isSeen(row) else {
        to.update(repeating: 0, count: job.slice.columns)
        continue
      }
      for pair in 0..<pairs {
        let word = population.seen[pair / Tile.pairs * vocabulary + row]
        room[pair] = word >> UInt16(pair % Tile.pairs) & 1 == 1 ? coefficients[pair] : 0
      }
      instructions.sumSigns(
        population.signs.pointer + layout.signs(.table).columns + row * layout.gateStride,
        tileStride: layout.signsPerTile, tiles: population.tiles, count: job.slice.columns,
        coefficients: room,
        into: to)
    }
  }

  /// The words of a block of 12 rows lie [columns][12].
  private func addDenseRows(
    _ job: Job, _ coefficients: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>,
    _ room: UnsafeMutablePointer<Float>
  ) {
    let layout = population.layout
    let columns = job.slice.columns
    let sums = room + pairs
    for first in stride(from: job.rows.lowerBound, to: job.rows.upperBound, by: Tile.blockRows) {
      instructions.sumSigns(
        population.signs.pointer + layout.signs(job.slice.tensor).columns + first * columns,
        tileStride: layout.signsPerTile, tiles: population.tiles, count: Tile.blockRows * columns,
        coefficients: coefficients, into: sums)
      for j in 0..<min(Tile.blockRows, job.rows.upperBound - first) {
        for k in 0..<columns { out[(first + j) * columns + k] = sums[k * Tile.blockRows + j] }
      }
    }
  }
}
