import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooStream

/// What the parts of a run are configured with.
extension RunPlan {
  /// How evaluation reads the weights; directions play no part in it. Those of a large vocabulary are read where the parameters lie, if
  /// there are any: a packed copy would be as large as they are.
  package var evaluatedLayout: Layout {
    Layout(
      shape, kind: .rank1, exactReadout: true,
      readsInPlace: run.regime == .shared && shape.vocabularySize > Self.packedVocabulary)
  }

  private static let packedVocabulary = 4096

  /// What the estimator works on.
  package var workload: EstimatorWorkload {
    EstimatorWorkload(
      shape: shape, streams: streaming.streams, window: tokensOfWindow,
      isWholeContext: streaming.window == .context, context: tokensToReset, seed: run.seed,
      threads: run.threads, inPlace: run.regime == .inPlace,
      checkpointingBytes: estimator.checkpointingBudget, measuredEvery: RunMeters.measuredEvery)
  }

  /// - Parameter takesParts: whether the gradient is taken in parts where it comes in such (`PartialGradientEstimator`).
  package func makeEstimator(
    takesParts: Bool = false, pool: ThreadPool, instructions: Instructions = .best, ledger: MemoryLedger
  ) throws(MemoryError) -> any GradientEstimator {
    var workload = workload
    workload.takesParts = takesParts
    return try estimator.family.make(
      estimator.configuration, workload, pool: pool, instructions: instructions, ledger: ledger)
  }

  /// The bytes of a run's.
  package var estimatorBytes: MemoryTable {
    var workload = workload
    workload.takesParts = true
    return estimator.family.byteCount(estimator.configuration, workload)
  }
  /// The bytes of what goes on from window to window beside the weights.
  package var carriedBytes: Int { estimator.family.carriedBytes(estimator.configuration, workload) }
  /// Columns that process a token of every stream.
  package var columns: Int { estimator.family.columns(estimator.configuration, workload) }
  /// Tokens of a stream that go through the kernels at a time; the same for every context.
  package var chunk: Int { estimator.family.chunk(estimator.configuration, workload) }
  /// Tokens over which a loss is credited to what came before it: none beyond the start of its context.
  package var creditReach: Int {
    min(estimator.family.creditReach(estimator.configuration, workload), tokensToReset ?? .max)
  }

  package var trainingData: StreamConfiguration {
    var stream = StreamConfiguration(data.configuration, streams: streaming.streams, chunkTokens: chunk)
    stream.countsTokens = RunLimits(self, trainingTokens: nil).countsPasses
    return stream
  }

  /// nil where nothing is held out.
  package var heldOutData: StreamConfiguration? {
    guard data.hasHeldOut else { return nil }
    var stream = trainingData
    stream.streams = 1
    if let path = data.heldOutPath {
      (stream.paths, stream.skipTokens, stream.expectTokens) = ([path], 0, nil)
      stream.holdoutFraction = 0
    }
    return stream
  }
}
