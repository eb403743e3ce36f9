import LongzooEstimator
import LongzooMemory
import LongzooModel

/// The regime of models whose memory beyond the weights is precious: the packed weights are the only copy, and each estimate
/// is applied to them panel by panel. No optimizer's moments, no average: what is trained is handed out.
package final class InPlaceState: TrainingState {
  private let descent: any InPlaceEstimator
  private let decay: Float
  private let pool: ThreadPool
  package var updates = 0

  package init(_ c: RunPlan, pool: ThreadPool, ledger: MemoryLedger) throws(MemoryError) {
    self.pool = pool
    decay = Float(c.optimizer.weightDecay)
    guard let descent = try c.makeEstimator(pool: pool, ledger: ledger) as? any InPlaceEstimator else {
      preconditionFailure("\(c.estimator.family) cannot train in place")
    }
    self.descent = descent
  }

  package var estimator: any WindowEstimator { descent }

  package func begin(_ c: RunPlan, from file: SafetensorsReader?, through buffer: TransferBuffer)
    throws
  {
    if let file {
      try PackedWeightsFile.read(file, into: descent.weights, through: buffer, on: pool)
    } else {
      descent.weights.initialize(seed: c.run.seed, c.initialization, on: pool)
    }
  }

  package func start() {}

  package func update(rate: Float) {
    descent.descend(rate: rate, decay: decay)
    updates += 1
  }

  package func lastUpdateNorm(rate: Float) -> Double? { nil }

  package var trainedMemory: [UnsafeMutableRawBufferPointer] {
    [UnsafeMutableRawBufferPointer(descent.weights.values.elements)] + descent.carried.map(\.bytes)
  }

  package var finalTensors: [TensorToWrite] { PackedWeightsFile.tensors(descent.weights) }

  package func takeFinalWeights(_ file: SafetensorsReader, through buffer: TransferBuffer) throws(RunFailure)
  {
    try PackedWeightsFile.read(file, into: descent.weights, through: buffer, on: pool)
  }

  package func weightsToEvaluate(ledger: MemoryLedger) throws(MemoryError) -> PackedWeights {
    descent.weights
  }
  package func prepareEvaluation() {}

  package var checkpointTensors: [TensorToWrite] { finalTensors + memory.map(\.tensor) }

  package func restore(_ file: SafetensorsReader, through buffer: TransferBuffer) throws(RunFailure) {
    try PackedWeightsFile.read(file, into: descent.weights, through: buffer, on: pool)
    for piece in memory { try piece.read(file) }
  }

  private var memory: [CheckpointMemory] { descent.carried.map(CheckpointMemory.init) }
}
