import CLongzooKernels
import LongzooMemory

/// The weights as the kernels read them: blocks of 12 rows by k, the first layer's bias folded into the token table. Where the layout
/// says so, the table and the readout are not among them and are read from the parameters.
public final class PackedWeights {
  package let layout: Layout
  private let instructions: Instructions
  package let values: Buffer<Float>
  /// What is read where it lies: of the parameters that were packed last, which stay for as long.
  private(set) var plain = lz_plain()
  private var source: Parameters?
  private let jobs: [Job]

  private struct Job {
    var slice: TensorSlice
    /// Rows of the tensor that lie together in the kernels' order (those of a head, or all), and where.
    var rows: Range<Int>
    var packed: Int
    var blocks: Range<Int>  // of 12 of these rows; for the table, rows
  }

  /// The bytes that `init` reserves.
  public static func byteCount(for layout: Layout) -> Int { valuesRoom(layout).byteCount }

  private static func valuesRoom(_ layout: Layout) -> Room<Float> {
    Room(layout.c.pointee.weights, .parameters, for: "the packed weights")
  }

  /// All zero, until `pack` or `initialize`.
  /// - Throws: `MemoryError`, if the ledger's budget or the system does not allow it.
  public init(
    _ layout: Layout, instructions: Instructions = .best, ledger: MemoryLedger
  ) throws(MemoryError) {
    self.layout = layout
    self.instructions = instructions
    values = try Self.valuesRoom(layout).buffer(ledger)
    jobs = layout.shape.tensors.filter { !layout.readsInPlace || $0.tensor.isPacked }.flatMap { slice in
      Self.runs(slice, layout).flatMap { rows, packed in
        let blocks = slice.tensor == .table ? rows.count : (rows.count + Tile.blockRows - 1) / Tile.blockRows
        let step = max(1, 16384 / max(1, slice.columns * (slice.tensor == .table ? 1 : Tile.blockRows)))
        return stride(from: 0, to: blocks, by: step).map {
          Job(slice: slice, rows: rows, packed: packed, blocks: $0..<min(blocks, $0 + step))
        }
      }
    }
  }

  private static func runs(_ slice: TensorSlice, _ layout: Layout) -> [(rows: Range<Int>, packed: Int)] {
    switch slice.tensor {
    case .kernel(let stage):
      layout.heads(of: slice.tensor).map { layout.gates(ofHead: $0, stage: stage) }
    case .bias, .scalars:
      layout.heads(of: slice.tensor).map { layout.elements(of: slice.tensor, head: $0) }
    case .table, .readout: [(0..<slice.rows, 0)]
    case .readoutBias: [(0..<slice.columns, 0)]
    }
  }

  /// Takes over the parameters; done once an update.
  /// - Precondition: they are of the same shape.
  public func pack(_ parameters: Parameters, on pool: ThreadPool) {
    precondition(parameters.shape == layout.shape, "the parameters of another model")
    if layout.readsInPlace { read(parameters) }
    pool.run(jobs.count) { task, _ in
      let job = jobs[task]
      switch job.slice.tensor {
      case .table: packTable(job, parameters)
      case .kernel(let stage): packMatrix(job, parameters, to: layout.kernel(stage))
      case .bias(let stage): if stage > 0 { packVector(job, parameters, to: layout.bias(stage), padding: 0) }
      case .scalars(let stage): packUnits(job, parameters, to: layout.scalars(stage))
      case .readout: packMatrix(job, parameters, to: layout.c.pointee.w_readout)
      case .readoutBias:
        packVector(job, parameters, to: layout.c.pointee.w_readout_bias, padding: -.greatestFiniteMagnitude)
      }
    }
  }

  private func read(_ parameters: Parameters) {
    source = parameters
    func at(_ tensor: Tensor) -> UnsafePointer<Float> {
      UnsafePointer(parameters.pointer(layout.shape.slice(tensor)))
    }
    plain = lz_plain(
      table: at(.table), table_bias: at(.bias(0)), readout: at(.readout), readout_bias: at(.readoutBias))
  }

  private func packTable(_ job: Job, _ parameters: Parameters) {
    let columns = job.slice.columns
    let bias = parameters.pointer(parameters.shape.slice(.bias(0)))
    for row in job.blocks {
      let from = parameters.pointer(job.slice) + row * columns
      let to = values.pointer + layout.c.pointee.w_table + row * layout.c.pointee.gate_stride
      for head in layout.heads(of: .table) {
        let (columns, packed) = layout.gates(ofHead: head, stage: 0)
        // Counted, so that the compiler sees a loop that it can vectorise.
        let (target, row, bias) = (to + packed, from + columns.lowerBound, bias + columns.lowerBound)
        for i in 0..<columns.count { target[i] = row[i] + bias[i] }
      }
    }
  }

  private func packMatrix(_ job: Job, _ parameters: Parameters, to offset: Int) {
    let (rows, columns) = (job.rows.count, job.slice.columns)
    let source = parameters.pointer(job.slice) + job.rows.lowerBound * columns
    let target = values.pointer + offset + job.packed * columns
    for block in job.blocks {
      let to = target + block * columns * Tile.blockRows
      if (block + 1) * Tile.blockRows <= rows {
        let from = source + block * Tile.blockRows * columns
        instructions.packRows(from, columns: columns, into: to)
        continue
      }
      for j in 0..<rows - block * Tile.blockRows {
        let from = source + (block * Tile.blockRows + j) * columns
        for k in 0..<columns { to[k * Tile.blockRows + j] = from[k] }
      }
    }
  }

  /// Padding stays 0.
  private func packUnits(_ job: Job, _ parameters: Parameters, to offset: Int) {
    let from = parameters.pointer(job.slice) + job.rows.lowerBound
    let first = job.blocks.lowerBound * Tile.blockRows
    for i in first..<min(job.rows.count, job.blocks.upperBound * Tile.blockRows) {
      values[offset + job.packed + i] = from[i]
    }
  }

  private func packVector(_ job: Job, _ parameters: Parameters, to offset: Int, padding: Float) {
    let from = parameters.pointer(job.slice) + job.rows.lowerBound
    for i in job.blocks.lowerBound * Tile.blockRows..<job.blocks.upperBound * Tile.blockRows {
      values[offset + job.packed + i] = i < job.rows.count ? from[i] : padding
    }
  }
}

extension Tensor {
  /// Whether it is packed even where what grows with the vocabulary is read in place.
  fileprivate var isPacked: Bool { self != .table && self != .bias(0) && !isReadout }
}
