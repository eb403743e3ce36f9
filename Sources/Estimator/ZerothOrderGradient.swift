import LongzooMemory
import LongzooModel

/// Σ_p c_p·Z_p over all pairs, for every perturbed tensor.
///
/// Products: A·diag(c)·Bᵀ, one GEMM a panel of rows and tile, over its pairs and the products of each. Full-rank: sums of ±c straight
/// from the sign words. Normal: sums of c·z with entries that are drawn again. Everywhere a tile's pairs have a total of their own, and
/// the totals are added up in the order of tiles.
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
    /// Within one head where the tensor has heads; `packed`: the first of them in the kernels' order.
    var rows: Range<Int>
    var packed: Int
    var head: Int
  }

  /// Rows of one GEMM; a multiple of the kernels' blocks, and many, because every GEMM packs the column factors again.
  private static let panel = 10 * Tile.blockRows
  /// Rows of the token table that one GEMM takes, of those that somebody has read; less than half of a panel.
  private static let tablePanel = 48

  static func byteCount(for layout: Layout, pairs: Int, threads: Int) -> Int {
    scratchRoom(layout, pairs: pairs, threads: threads).byteCount
  }

  private static func scratchRoom(_ layout: Layout, pairs: Int, threads: Int) -> Room<Float> {
    Room(threads * scratchFloats(layout, pairs: pairs), .perturbations, for: "the update's scratch")
  }

  private static func scratchFloats(_ layout: Layout, pairs: Int) -> Int {
    let padded = Population.tiles(pairs) * Tile.pairs
    let widest = layout.perturbedMatrices.map(\.columns).max() ?? 0
    switch layout.kind {
    case .products(let rank): return panel * rank * padded + (panel * widest + 15) / 16 * 16
    case .rademacher: return padded + (Tile.blockRows * widest + 15) / 16 * 16
    case .gaussian: return padded + max((Tile.blockRows * widest + 15) / 16 * 16, layout.gateStride)
    }
  }

  init(
    _ directions: Directions, instructions: Instructions, threads: Int, ledger: MemoryLedger
  ) throws(MemoryError) {
    self.directions = directions
    self.instructions = instructions
    let layout = directions.population.layout
    let pairs = directions.population.pairs
    scratchStride = Self.scratchFloats(layout, pairs: pairs)
    scratch = try Self.scratchRoom(layout, pairs: pairs, threads: threads).buffer(ledger)
    let isCompact = layout.isFactored
    jobs = layout.shape.tensors.filter {
      layout.isPerturbed($0.tensor) && !(isCompact && $0.tensor == .table)
    }.flatMap { Self.jobs($0, layout) }
  }

  private static func jobs(_ slice: TensorSlice, _ layout: Layout) -> [Job] {
    func panels(_ rows: Range<Int>, packed: Int, head: Int) -> [Job] {
      stride(from: rows.lowerBound, to: rows.upperBound, by: panel).map {
        Job(
          slice: slice, rows: $0..<min(rows.upperBound, $0 + panel), packed: packed + $0 - rows.lowerBound,
          head: head)
      }
    }
    guard case .kernel(let stage) = slice.tensor else { return panels(0..<slice.rows, packed: 0, head: 0) }
    return layout.heads(of: slice.tensor).flatMap { head in
      let gates = layout.gates(ofHead: head, stage: stage)
      return panels(gates.rows, packed: gates.packed, head: head)
    }
  }

  /// Writes the sums to `gradient`.
  /// - Parameters:
  ///   - coefficients: [pairs rounded up to whole tiles], 0 for padding; the scale is in them.
  ///   - withTable: false where `eachTablePart` makes the token table's; products only.
  func compute(
    coefficients: UnsafePointer<Float>, into gradient: UnsafeMutablePointer<Float>, withTable: Bool = true,
    on pool: ThreadPool
  ) {
    let read = directions.tokensRead()
    let tableJobs = withTable ? tablePanels(read) : 0
    pool.run(tableJobs + jobs.count) { task, thread in
      let room = scratch.pointer + thread * scratchStride
      guard task >= tableJobs else {
        return addTableRows(read, panel: task, coefficients, gradient, room)
      }
      let job = jobs[task - tableJobs]
      let out = gradient + job.slice.offset
      switch (job.slice.tensor, population.layout.kind) {
      case (.bias, _), (.scalars, _), (.readoutBias, _): addVector(job, coefficients, out)
      case (.table, .gaussian): addNormalTableRows(job, coefficients, out, room)
      case (.table, _): addDenseTableRows(job, coefficients, out, room)
      case (_, .products): addRows(job, coefficients, out, room)
      case (_, .rademacher), (_, .gaussian): addDenseRows(job, coefficients, out, room)
      }
    }
  }

  private var population: Population { directions.population }
  private var pairs: Int { directions.paddedPairs }
  /// Terms of an element of a product's panel: pairs, times the products in a direction.
  private var terms: Int { directions.factorStride }

  /// ±c of row factors a for rows `rows`, [rows][tiles][r][16].
  private func expand(
    _ slice: TensorSlice, row: Int, count: Int, _ coefficients: UnsafePointer<Float>, masked: Bool,
    into room: UnsafeMutablePointer<Float>
  ) {
    let layout = population.layout
    for product in 0..<layout.products {
      let words = layout.signs(slice.tensor).rows + product * layout.rowStep(slice) + row
      for tile in 0..<population.tiles {
        instructions.expandSigns(
          population.signs.pointer + tile * layout.signsPerTile + words,
          rows: count, coefficients: coefficients + tile * Tile.pairs,
          seen: masked ? population.seen.pointer + tile * layout.shape.vocabularySize + row : nil,
          into: room + tile * directions.tileFactors + product * Tile.pairs, stride: terms)
      }
    }
  }

  private func addRows(
    _ job: Job, _ coefficients: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>,
    _ room: UnsafeMutablePointer<Float>
  ) {
    let columns = job.slice.columns
    expand(
      job.slice, row: job.packed, count: job.rows.count, coefficients, masked: false, into: room)
    GEMM.sumOfTiles(
      population.tiles, m: job.rows.count, n: columns, k: directions.tileFactors, room, lda: terms,
      directions.columns(job.slice, head: job.head), ldb: terms,
      into: out + job.rows.lowerBound * columns, room: room + Self.panel * terms)
  }

  /// Panels of the token table's rows that somebody has read; 0 where they are not gathered.
  private func tablePanels(_ read: UnsafeBufferPointer<UInt32>) -> Int {
    population.layout.isFactored ? max(1, (read.count + Self.tablePanel - 1) / Self.tablePanel) : 0
  }

  /// The most panels that there can be.
  static func mostTablePanels(_ layout: Layout) -> Int {
    layout.isFactored ? (layout.shape.vocabularySize + tablePanel - 1) / tablePanel : 0
  }

  /// One panel of the rows that somebody has read, and zeros in the rows before, between and, of the last panel, behind.
  private func addTableRows(
    _ read: UnsafeBufferPointer<UInt32>, panel: Int, _ coefficients: UnsafePointer<Float>,
    _ gradient: UnsafeMutablePointer<Float>, _ room: UnsafeMutablePointer<Float>
  ) {
    eachRun(read, panel: panel, coefficients, room) { start, count, values in
      if let values {
        (gradient + start).update(from: values, count: count)
      } else {
        (gradient + start).update(repeating: 0, count: count)
      }
    }
  }

  /// Lends the token table's gradient in parts, panel by panel.
  func eachTablePart(
    coefficients: UnsafePointer<Float>, on pool: ThreadPool,
    _ body: (_ panel: Int, _ start: Int, _ count: Int, _ values: UnsafePointer<Float>) -> Void
  ) {
    let read = directions.tokensRead()
    pool.run(tablePanels(read)) { panel, thread in
      let room = scratch.pointer + thread * scratchStride
      var isCleared = false
      eachRun(read, panel: panel, coefficients, room) { start, count, values in
        if let values { return body(panel, start, count, values) }
        // The factors' room: they are a product by now.
        let zeros = Self.panel * terms
        if !isCleared { room.update(repeating: 0, count: zeros) }
        isCleared = true
        for first in stride(from: start, to: start + count, by: zeros) {
          body(panel, first, min(zeros, start + count - first), room)
        }
      }
    }
  }

  /// Lends a panel of the rows that somebody has read; nil stands for zeros, in the rows before, between and, of the last panel, behind.
  private func eachRun(
    _ read: UnsafeBufferPointer<UInt32>, panel: Int, _ coefficients: UnsafePointer<Float>,
    _ room: UnsafeMutablePointer<Float>,
    _ body: (_ start: Int, _ count: Int, _ values: UnsafePointer<Float>?) -> Void
  ) {
    let slice = population.layout.shape.slice(.table)
    let columns = slice.columns
    let places = panel * Self.tablePanel..<min(read.count, (panel + 1) * Self.tablePanel)
    for (index, place) in places.enumerated() {
      expand(slice, row: Int(read[place]), count: 1, coefficients, masked: true, into: room + index * terms)
    }
    let compact = room + Self.panel * terms
    if !places.isEmpty {
      GEMM.sumOfTiles(
        population.tiles, m: places.count, n: columns, k: directions.tileFactors, room, lda: terms,
        directions.columns(slice), ldb: terms, into: compact, room: compact + Self.tablePanel * columns)
    }
    var next = panel == 0 ? 0 : Int(read[places.lowerBound - 1]) + 1
    for (index, place) in places.enumerated() {
      let row = Int(read[place])
      if row > next { body(slice.offset + next * columns, (row - next) * columns, nil) }
      body(slice.offset + row * columns, columns, compact + index * columns)
      next = row + 1
    }
    if places.upperBound == read.count, slice.rows > next {
      body(slice.offset + next * columns, (slice.rows - next) * columns, nil)
    }
  }

  private func addVector(_ job: Job, _ coefficients: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>)
  {
    guard job.slice.tensor != .readoutBias else {
      return sumEntries(job.slice.tensor, from: 0, count: job.slice.columns, coefficients, into: out)
    }
    for head in population.layout.heads(of: job.slice.tensor) {
      let gates = population.layout.elements(of: job.slice.tensor, head: head)
      sumEntries(
        job.slice.tensor, from: gates.packed, count: gates.rows.count, coefficients,
        into: out + gates.rows.lowerBound)
    }
  }

  /// Σ c·z for entries of a full-rank direction, or of a vector's, in the kernels' order.
  private func sumEntries(
    _ tensor: Tensor, from first: Int, count: Int, _ coefficients: UnsafePointer<Float>,
    into out: UnsafeMutablePointer<Float>
  ) {
    let layout = population.layout
    if layout.kind == .gaussian {
      instructions.sumNormals(
        layout, names: population.signs.pointer, tiles: population.tiles, tensor, from: first, count: count,
        coefficients: coefficients, into: out)
    } else {
      sum(from: layout.signs(tensor).columns + first, count: count, coefficients, into: out)
    }
  }

  /// Gate rows of the first stage, without what pads the heads.
  private func sumGates(
    from first: Int, _ coefficients: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>
  ) {
    for head in population.layout.heads(of: .table) {
      let gates = population.layout.gates(ofHead: head, stage: 0)
      sum(
        from: first + gates.packed, count: gates.rows.count, coefficients, into: out + gates.rows.lowerBound)
    }
  }

  private func sum(
    from first: Int, count: Int, _ coefficients: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>
  ) {
    instructions.sumSigns(
      population.signs.pointer + first, tileStride: population.layout.signsPerTile, tiles: population.tiles,
      count: count, coefficients: coefficients, into: out)
  }

  /// The rows of a job, each from the pairs that have read its token; `room`: [pairs] coefficients, then the caller's.
  private func addReadRows(
    _ job: Job, _ coefficients: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>,
    _ room: UnsafeMutablePointer<Float>, _ add: (_ row: Int, _ to: UnsafeMutablePointer<Float>) -> Void
  ) {
    for row in job.rows {
      let to = out + row * job.slice.columns
      guard directions.isRead(row) else {
        to.update(repeating: 0, count: job.slice.columns)
        continue
      }
      maskCoefficients(coefficients, row: row, into: room)
      add(row, to)
    }
  }

  private func addDenseTableRows(
    _ job: Job, _ coefficients: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>,
    _ room: UnsafeMutablePointer<Float>
  ) {
    let layout = population.layout
    addReadRows(job, coefficients, out, room) { row, to in
      sumGates(from: layout.signs(.table).columns + row * layout.gateStride, room, into: to)
    }
  }

  private func addNormalTableRows(
    _ job: Job, _ coefficients: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>,
    _ room: UnsafeMutablePointer<Float>
  ) {
    let layout = population.layout
    addReadRows(job, coefficients, out, room) { row, to in
      instructions.sumNormalRow(
        layout, names: population.signs.pointer, tiles: population.tiles, token: row, coefficients: room,
        into: room + pairs)
      for head in layout.heads(of: .table) {
        let gates = layout.gates(ofHead: head, stage: 0)
        (to + gates.rows.lowerBound).update(from: room + pairs + gates.packed, count: gates.rows.count)
      }
    }
  }

  /// Coefficients of the pairs that have read a row's token; 0 for the others.
  private func maskCoefficients(
    _ coefficients: UnsafePointer<Float>, row: Int, into room: UnsafeMutablePointer<Float>
  ) {
    let vocabulary = population.layout.shape.vocabularySize
    for pair in 0..<pairs {
      let word = population.seen[pair / Tile.pairs * vocabulary + row]
      room[pair] = word >> UInt16(pair % Tile.pairs) & 1 == 1 ? coefficients[pair] : 0
    }
  }

  /// The words, or entries, of a block of 12 rows lie [columns][12].
  private func addDenseRows(
    _ job: Job, _ coefficients: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>,
    _ room: UnsafeMutablePointer<Float>
  ) {
    let columns = job.slice.columns
    let sums = room + pairs
    for first in stride(from: job.rows.lowerBound, to: job.rows.upperBound, by: Tile.blockRows) {
      let packed = job.packed + first - job.rows.lowerBound
      sumEntries(
        job.slice.tensor, from: packed * columns, count: Tile.blockRows * columns, coefficients, into: sums)
      for j in 0..<min(Tile.blockRows, job.rows.upperBound - first) {
        for k in 0..<columns { out[(first + j) * columns + k] = sums[k * Tile.blockRows + j] }
      }
    }
  }
}
