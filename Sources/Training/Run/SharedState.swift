import LongzooEstimator
import LongzooMemory
import LongzooModel

/// The regime of models that fit several times: parameters, their packed copy, a gradient, an optimizer, an average.
package final class SharedState: TrainingState {
  private let parameters: Parameters
  private let gradients: any GradientEstimator
  private let optimizer: Optimizer
  private let average: WeightAverage
  private let pool: ThreadPool
  private let evaluatedLayout: Layout
  /// A packed copy of the weights that a run hands out.
  private var evaluated: PackedWeights?

  package init(
    _ c: RunPlan, pool: ThreadPool, instructions: Instructions = .best, ledger: MemoryLedger
  ) throws(MemoryError) {
    self.pool = pool
    evaluatedLayout = c.evaluatedLayout
    parameters = try Parameters(c.shape, ledger: ledger)
    gradients = try c.makeEstimator(
      takesParts: true, pool: pool, instructions: instructions, ledger: ledger)
    optimizer = try Optimizer(c.shape, c.optimizer.configuration, instructions: instructions, ledger: ledger)
    average = try WeightAverage(c.shape, ledger: ledger)
  }

  package var estimator: any WindowEstimator { gradients }
  package var updates: Int {
    get { optimizer.updates }
    set { optimizer.updates = newValue }
  }

  package func begin(_ c: RunPlan, from file: SafetensorsReader?, through buffer: TransferBuffer)
    throws
  {
    parameters.initialize(seed: c.run.seed, c.initialization)
    if let file { try WeightsFile.read(file, into: parameters, through: buffer) }
  }

  package func start() { gradients.take(parameters) }

  package func update(rate: Float) {
    optimizer.update(parameters, along: gradients, rate: rate, on: pool)
    average.add(parameters, update: optimizer.updates, on: pool)
    gradients.take(parameters)
  }

  package func lastUpdateNorm(rate: Float) -> Double? { optimizer.lastUpdateNorm(parameters, rate: rate) }

  package var trainedMemory: [UnsafeMutableRawBufferPointer] {
    [
      UnsafeMutableRawBufferPointer(parameters.values.elements),
      UnsafeMutableRawBufferPointer(optimizer.first.elements),
      UnsafeMutableRawBufferPointer(optimizer.second.elements),
      UnsafeMutableRawBufferPointer(average.mean.values.elements),
    ] + gradients.carried.map(\.bytes)
  }

  /// The averaged weights.
  private var finalWeights: Parameters { optimizer.updates > 0 ? average.mean : parameters }
  package var finalTensors: [TensorToWrite] { WeightsFile.tensors(finalWeights) }

  package func takeFinalWeights(_ file: SafetensorsReader, through buffer: TransferBuffer) throws(RunFailure)
  {
    try WeightsFile.read(file, into: finalWeights, through: buffer)
  }

  package func weightsToEvaluate(ledger: MemoryLedger) throws(MemoryError) -> PackedWeights {
    let weights = try PackedWeights(evaluatedLayout, ledger: ledger)
    evaluated = weights
    return weights
  }

  package func prepareEvaluation() { evaluated?.pack(finalWeights, on: pool) }

  package var checkpointTensors: [TensorToWrite] {
    WeightsFile.tensors(parameters, isExact: true) + memory.map(\.tensor)
  }

  package func restore(_ file: SafetensorsReader, through buffer: TransferBuffer) throws(RunFailure) {
    try WeightsFile.read(file, into: parameters, through: buffer)
    for piece in memory { try piece.read(file) }
  }

  private var memory: [CheckpointMemory] {
    [
      CheckpointMemory("optimizer.first", .f32, UnsafeRawBufferPointer(optimizer.first.elements)),
      CheckpointMemory("optimizer.second", .f32, UnsafeRawBufferPointer(optimizer.second.elements)),
      CheckpointMemory("average", .f32, UnsafeRawBufferPointer(average.mean.values.elements)),
    ] + gradients.carried.map(CheckpointMemory.init)
  }
}
