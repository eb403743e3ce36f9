import Estimator
import Memory
import Model
import Stream

/// Everything of a run that lives in memory, and the account of it.
final class TrainingState {
  let parameters: Parameters
  let estimator: any GradientEstimator
  let optimizer: Optimizer
  let average: WeightAverage

  init(_ c: RunConfiguration, pool: ThreadPool, ledger: MemoryLedger) throws(MemoryError) {
    parameters = try Parameters(c.shape, ledger: ledger)
    estimator =
      switch c.estimator {
      case .cdRGE: try CDRGE(c.shape, c.cdrge, pool: pool, ledger: ledger)
      case .bptt, .tbptt: try BPTT(c.shape, c.bptt, pool: pool, ledger: ledger)
      }
    optimizer = try Optimizer(parameters: c.shape.parameterCount, c.optimizerConfiguration, ledger: ledger)
    average = try WeightAverage(c.shape, ledger: ledger)
  }
}

/// The bytes that a run will reserve, by category, before it reserves any.
enum MemoryPlan {
  /// OpenBLAS packs both factors of a product into a buffer a thread: of the left one a block of 448 × 384 floats, of the
  /// right one 384 rows as wide as the product, at most the buffer's 32 MiB.
  static func bytesPerBLASThread(_ shape: ModelShape) -> Int {
    min(32 << 20, 4 * 384 * (448 + 4 * shape.hiddenSize))
  }

  /// What `train` will hold at its peak.
  /// - Throws: what opening the data throws; a pipe is not touched.
  static func table(for c: RunConfiguration) throws -> MemoryTable {
    let shape = c.shape
    var table = try tableWithoutEstimator(for: c)
    switch c.estimator {
    case .cdRGE: table = table + CDRGE.byteCount(for: shape, c.cdrge, threads: c.threads)
    case .bptt, .tbptt: table = table + BPTT.byteCount(for: shape, c.bptt, threads: c.threads)
    }
    return table
  }

  /// The same but for the estimator: what is left of a budget is the estimator's.
  static func tableWithoutEstimator(for c: RunConfiguration) throws -> MemoryTable {
    let shape = c.shape
    var table = MemoryTable()
    table[.parameters] = Parameters.byteCount(for: shape)
    table[.optimizer] +=
      Optimizer.byteCount(for: shape.parameterCount, c.optimizerConfiguration)
      + WeightAverage.byteCount(for: shape)
    table[.perturbations] += c.threads * bytesPerBLASThread(shape)
    table[.stream] +=
      try TokenFeed.byteCount(for: c.trainingData) + TokenRows.byteCount(streams: c.streams, chunk: c.chunk)
    if let heldOut = c.heldOutData {
      table[.stream] += try HeldOutReader.byteCount(for: heldOut)
      table = table + Evaluator.byteCount(for: c.evaluatedLayout)
    }
    table[.checkpoint] += SafetensorsWriter.bufferBytes
    return table
  }
}
