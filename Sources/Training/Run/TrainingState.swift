import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooStream

/// Everything of a run that lives in memory: what the training loop, checkpoints and evaluation need of a regime.
package protocol TrainingState: AnyObject {
  var estimator: any WindowEstimator { get }
  /// Updates made so far.
  var updates: Int { get set }
  /// The weights of a new run: random ones, or those of a file.
  func begin(_ c: RunPlan, from file: SafetensorsReader?, through buffer: TransferBuffer) throws
  /// To be called once the weights are there.
  func start()
  /// One update by the window that has ended.
  func update(rate: Float)
  /// ‖Δθ‖ of the last update; nil where nothing is left of it.
  func lastUpdateNorm(rate: Float) -> Double?
  /// All memory that windows and updates change, but for the number of `updates`.
  var trainedMemory: [UnsafeMutableRawBufferPointer] { get }
  /// The weights in training, and what else a checkpoint holds of them.
  var checkpointTensors: [TensorToWrite] { get }
  /// Fills them; the directions must have been drawn before.
  func restore(_ file: SafetensorsReader, through buffer: TransferBuffer) throws(RunFailure)
  /// The weights that a run hands out.
  var finalTensors: [TensorToWrite] { get }
  /// Takes others in their place, at the end of a run: nothing can be trained afterwards.
  func takeFinalWeights(_ file: SafetensorsReader, through buffer: TransferBuffer) throws(RunFailure)
  /// Where they are evaluated; asked for once, and only if something is.
  func weightsToEvaluate(ledger: MemoryLedger) throws(MemoryError) -> PackedWeights
  /// To be called before each evaluation.
  func prepareEvaluation()
}

package enum TrainingStates {
  /// The state of a run's regime.
  package static func make(
    _ c: RunPlan, pool: ThreadPool, ledger: MemoryLedger
  ) throws(MemoryError) -> any TrainingState {
    switch c.run.regime {
    case .shared: try SharedState(c, pool: pool, ledger: ledger)
    case .inPlace: try InPlaceState(c, pool: pool, ledger: ledger)
    }
  }
}

/// The bytes that a run will reserve, by category, before it reserves any.
package enum MemoryPlan {
  /// OpenBLAS packs both factors of a product into a buffer a thread: of the left one a block of 448 × 384 floats, of the
  /// right one 384 rows as wide as the product, at most the buffer's 32 MiB.
  package static func bytesPerBLASThread(_ c: RunPlan) -> Int {
    let width = c.run.regime == .inPlace ? InPlaceUpdate.widest : widestGates(c.shape)
    return min(32 << 20, 4 * 384 * (448 + width))
  }

  private static func widestGates(_ shape: ModelShape) -> Int {
    (0..<shape.stageCount).reduce(0) { max($0, shape.stage($1).gates) }
  }

  /// What `train` will hold at its peak.
  /// - Throws: what opening the data throws; a pipe is not touched.
  package static func table(for c: RunPlan) throws -> MemoryTable {
    try tableWithoutEstimator(for: c) + c.estimatorBytes
  }

  /// What training holds that reads no data: the model's memory, and the estimator's.
  package static func tableWithoutData(for c: RunPlan) -> MemoryTable { model(c) + c.estimatorBytes }

  private static func model(_ c: RunPlan) -> MemoryTable {
    let shape = c.shape
    var table = MemoryTable()
    if c.run.regime == .shared {
      table[.parameters] = Parameters.byteCount(for: shape)
      table[.optimizer] +=
        Optimizer.byteCount(for: shape, c.optimizer.configuration)
        + WeightAverage.byteCount(for: shape)
    }
    table[.perturbations] += c.run.threads * bytesPerBLASThread(c)
    return table
  }

  /// Refuses what this machine cannot hold, before any of it is reserved.
  /// - Parameters:
  ///   - what: the beginning of the sentence, such as "this run".
  ///   - advice: its end.
  /// - Throws: exit code 64.
  package static func requireMemory(
    for table: MemoryTable, _ what: Wording,
    advice: Wording = "take fewer \(.pairs) or \(.streams), a smaller \(.hiddenSize) or a shorter \(.window)"
  ) throws(RunFailure) {
    guard let most = MachineMemory.most, table.total > most else { return }
    throw .usage(
      "\(what) needs \(ByteSize.formatted(table.total)), and this machine has \(ByteSize.formatted(most)); \(advice)"
    )
  }

  /// What `TrainingState.trainedMemory` comes to.
  private static func trainedBytes(_ c: RunPlan) -> Int {
    let copies = 2 + c.optimizer.kind.moments
    return copies * 4 * c.shape.parameterCount + c.carriedBytes
  }

  /// The tensors of `model.safetensors`, which have a second bias for every layer.
  package static func modelBytes(_ c: RunPlan) -> Int {
    4 * c.shape.fileTensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
  }

  /// About what a checkpoint's tensors take.
  package static func checkpointBytes(_ c: RunPlan) -> Int {
    guard c.run.regime == .shared else { return modelBytes(c) + c.carriedBytes }
    return modelBytes(c) + trainedBytes(c) - 4 * c.shape.parameterCount
  }

  /// All of `table` but the estimator: what is left of a budget is the estimator's.
  package static func tableWithoutEstimator(for c: RunPlan) throws -> MemoryTable {
    var table = model(c)
    table[.stream] +=
      try TokenFeed.byteCount(for: c.trainingData)
      + TokenSupply.byteCount(
        streams: c.streaming.streams, chunk: c.chunk, keptChunks: c.keptChunks)
    if let heldOut = c.heldOutData {
      table[.stream] += try HeldOutReader.byteCount(for: heldOut)
      table = table + Evaluator.byteCount(for: c.evaluatedLayout, threads: c.run.threads)
      if c.run.regime == .shared { table[.parameters] += PackedWeights.byteCount(for: c.evaluatedLayout) }
    }
    table[.checkpoint] += TransferBuffer.byteCount
    if c.run.replayLog { table[.checkpoint] += ReplayLog.byteCount(c) }
    if !c.searched.isEmpty { table[.checkpoint] += StateSnapshot.byteCount(forBytes: trainedBytes(c)) }
    return table
  }
}
