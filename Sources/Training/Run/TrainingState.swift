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
  func begin(_ c: RunConfiguration, from file: SafetensorsReader?, through buffer: TransferBuffer) throws
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
    _ c: RunConfiguration, pool: ThreadPool, ledger: MemoryLedger
  ) throws(MemoryError) -> any TrainingState {
    switch c.regime {
    case .shared: try SharedState(c, pool: pool, ledger: ledger)
    case .inPlace: try InPlaceState(c, pool: pool, ledger: ledger)
    }
  }
}

/// The bytes that a run will reserve, by category, before it reserves any.
package enum MemoryPlan {
  /// OpenBLAS packs both factors of a product into a buffer a thread: of the left one a block of 448 × 384 floats, of the
  /// right one 384 rows as wide as the product, at most the buffer's 32 MiB.
  package static func bytesPerBLASThread(_ c: RunConfiguration) -> Int {
    let width = c.regime == .inPlace ? InPlaceUpdate.widest : 4 * c.hiddenSize
    return min(32 << 20, 4 * 384 * (448 + width))
  }

  /// What `train` will hold at its peak.
  /// - Throws: what opening the data throws; a pipe is not touched.
  package static func table(for c: RunConfiguration) throws -> MemoryTable {
    try tableWithoutEstimator(for: c) + estimator(c)
  }

  /// What training holds that reads no data: the model's memory, and the estimator's.
  package static func tableWithoutData(for c: RunConfiguration) -> MemoryTable { model(c) + estimator(c) }

  private static func estimator(_ c: RunConfiguration) -> MemoryTable {
    let shape = c.shape
    return switch c.estimator {
    case .cdRGE, .jvp, .nres, .pes: CDRGE.byteCount(for: shape, c.cdrge, threads: c.threads)
    case .fdRGE: FDRGE.byteCount(for: shape, c.cdrge, threads: c.threads)
    case .node: NodePerturbation.byteCount(for: shape, c.node, threads: c.threads)
    case .hybrid: Hybrid.byteCount(for: shape, c.hybrid, threads: c.threads)
    case .bptt, .tbptt: BPTT.byteCount(for: shape, c.bptt, threads: c.threads)
    }
  }

  private static func model(_ c: RunConfiguration) -> MemoryTable {
    let shape = c.shape
    var table = MemoryTable()
    if c.regime == .shared {
      table[.parameters] = Parameters.byteCount(for: shape)
      table[.optimizer] +=
        Optimizer.byteCount(for: shape, c.optimizerConfiguration)
        + WeightAverage.byteCount(for: shape)
    }
    table[.perturbations] += c.threads * bytesPerBLASThread(c)
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

  /// The bytes of what goes on from window to window beside the weights; of fd-rge only what other estimators carry too.
  package static func carriedBytes(_ c: RunConfiguration) -> Int {
    switch c.estimator {
    case .cdRGE, .jvp, .nres, .pes: CDRGE.carriedBytes(for: c.shape, c.cdrge)
    case .fdRGE: 2 * Population.tiles(c.pairs) * c.vocabularySize
    case .node: NodePerturbation.carriedBytes(for: c.shape, c.node)
    case .hybrid: Hybrid.carriedBytes(for: c.shape, c.hybrid)
    case .bptt, .tbptt: BPTT.carriedBytes(for: c.shape, c.bptt)
    }
  }

  /// What `TrainingState.trainedMemory` comes to.
  private static func trainedBytes(_ c: RunConfiguration) -> Int {
    let copies = c.optimizer == .sgd ? 3 : 4
    // Of fd-rge the states are about half of these; it has no searches, which would have to know it exactly.
    let carried = c.estimator == .fdRGE ? CDRGE.carriedBytes(for: c.shape, c.cdrge) : carriedBytes(c)
    return copies * 4 * c.shape.parameterCount + carried
  }

  /// The tensors of `model.safetensors`, which have a second bias for every layer.
  package static func modelBytes(_ c: RunConfiguration) -> Int {
    4 * (c.shape.parameterCount + 4 * c.shape.hiddenSize * c.shape.layers)
  }

  /// About what a checkpoint's tensors take.
  package static func checkpointBytes(_ c: RunConfiguration) -> Int {
    guard c.regime == .shared else { return modelBytes(c) + CDRGE.carriedBytes(for: c.shape, c.cdrge) }
    return modelBytes(c) + trainedBytes(c) - 4 * c.shape.parameterCount
  }

  /// The same as `table` but for the estimator: what is left of a budget is the estimator's.
  package static func tableWithoutEstimator(for c: RunConfiguration) throws -> MemoryTable {
    var table = model(c)
    table[.stream] +=
      try TokenFeed.byteCount(for: c.trainingData)
      + TokenSupply.byteCount(
        streams: c.streams, chunk: c.chunk, keptChunks: c.keptChunks)
    if let heldOut = c.heldOutData {
      table[.stream] += try HeldOutReader.byteCount(for: heldOut)
      table = table + Evaluator.byteCount(for: c.evaluatedLayout, threads: c.threads)
      if c.regime == .shared { table[.parameters] += PackedWeights.byteCount(for: c.evaluatedLayout) }
    }
    table[.checkpoint] += TransferBuffer.byteCount
    if c.replayLog { table[.checkpoint] += ReplayLog.byteCount(c) }
    if !c.searched.isEmpty { table[.checkpoint] += StateSnapshot.byteCount(forBytes: trainedBytes(c)) }
    return table
  }
}
