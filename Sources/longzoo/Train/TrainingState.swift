import Estimator
import Memory
import Model
import Stream

/// Everything of a run that lives in memory, and the account of it.
final class TrainingState {
  let parameters: Parameters
  let weights: PackedWeights
  let estimator: CDRGE
  let optimizer: Optimizer
  let average: WeightAverage

  init(_ c: RunConfiguration, pool: ThreadPool, ledger: MemoryLedger) throws(MemoryError) {
    parameters = try Parameters(c.shape, ledger: ledger)
    estimator = try CDRGE(c.shape, c.estimator, pool: pool, ledger: ledger)
    weights = try PackedWeights(estimator.layout, ledger: ledger)
    optimizer = try Optimizer(parameters: c.shape.parameterCount, c.optimizerConfiguration, ledger: ledger)
    average = try WeightAverage(c.shape, ledger: ledger)
  }
}

/// The bytes that a run will reserve, by category, before it reserves any.
enum MemoryPlan {
  /// OpenBLAS keeps one packing buffer a thread; of it a product of our sizes touches at most this much.
  static let bytesPerBLASThread = 4 << 20

  /// What `train` will hold at its peak.
  /// - Throws: what opening the data throws; a pipe is not touched.
  static func table(for c: RunConfiguration) throws -> MemoryTable {
    let shape = c.shape
    let layout = CDRGE.layout(for: shape, c.estimator)
    var table = CDRGE.byteCount(for: shape, c.estimator, threads: c.threads)
    table[.parameters] += Parameters.byteCount(for: shape) + PackedWeights.byteCount(for: layout)
    table[.optimizer] +=
      Optimizer.byteCount(for: shape.parameterCount, c.optimizerConfiguration)
      + WeightAverage.byteCount(for: shape)
    table[.perturbations] += c.threads * bytesPerBLASThread
    table[.stream] +=
      try TokenFeed.byteCount(for: c.trainingData) + TokenRows.byteCount(streams: c.streams, chunk: c.chunk)
    if let heldOut = c.heldOutData {
      table[.stream] += try HeldOutReader.byteCount(for: heldOut)
      table = table + Evaluator.byteCount(for: layout)
    }
    table[.checkpoint] += SafetensorsWriter.bufferBytes
    return table
  }
}
