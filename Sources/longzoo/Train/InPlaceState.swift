import LongzooEstimator
import LongzooMemory
import LongzooModel

/// The regime of models whose memory beyond the weights is precious: the packed weights are the only copy, and each estimate
/// is applied to them panel by panel. No optimizer's moments, no average: what is trained is handed out.
final class InPlaceState: TrainingState {
  private let descent: CDRGE
  private let decay: Float
  private let pool: ThreadPool
  var updates = 0

  init(_ c: RunConfiguration, pool: ThreadPool, ledger: MemoryLedger) throws(MemoryError) {
    self.pool = pool
    decay = Float(c.weightDecay)
    descent = try CDRGE(c.shape, c.cdrge, pool: pool, ledger: ledger)
  }

  var estimator: any WindowEstimator { descent }

  func begin(_ c: RunConfiguration, from file: SafetensorsReader?, through buffer: TransferBuffer) throws {
    if let file {
      try PackedWeightsFile.read(file, into: descent.weights, through: buffer, on: pool)
    } else {
      descent.weights.initialize(seed: c.seed, c.initialization, on: pool)
    }
  }

  func start() {}

  func update(rate: Float) {
    descent.descend(rate: rate, decay: decay)
    updates += 1
  }

  func lastUpdateNorm(rate: Float) -> Double? { nil }

  var trainedMemory: [UnsafeMutableRawBufferPointer] {
    [UnsafeMutableRawBufferPointer(descent.weights.values.elements)] + descent.carried.map(\.bytes)
  }

  var finalTensors: [TensorToWrite] { PackedWeightsFile.tensors(descent.weights) }

  func takeFinalWeights(_ file: SafetensorsReader, through buffer: TransferBuffer) throws(RunFailure) {
    try PackedWeightsFile.read(file, into: descent.weights, through: buffer, on: pool)
  }

  func weightsToEvaluate(ledger: MemoryLedger) throws(MemoryError) -> PackedWeights { descent.weights }
  func prepareEvaluation() {}

  var checkpointTensors: [TensorToWrite] { finalTensors + memory.map(\.tensor) }

  func restore(_ file: SafetensorsReader, through buffer: TransferBuffer) throws(RunFailure) {
    try PackedWeightsFile.read(file, into: descent.weights, through: buffer, on: pool)
    for piece in memory { try piece.read(file) }
  }

  private var memory: [CheckpointMemory] { descent.carried.map(CheckpointMemory.init) }
}
