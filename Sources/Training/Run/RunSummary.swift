import Foundation
import LongzooMemory

/// Why a run has made no update.
package enum NothingLearned: Equatable {
  case notBegun
  /// The tokens of all streams that had come, and those that the first update reads.
  case tokensMissing(Int, of: Int)
  case givenUp(seconds: Double)
}

/// What a run has to say at its end: a few lines for people, one JSON object for programs.
public struct RunSummary {
  package let plan: RunPlan
  package let progress: RunProgress
  /// Tokens of all streams.
  public let tokens: Int
  package let stoppedBy: StopReason
  /// How a run went wrong that did; the figures are then those of the weights that it was taken back to.
  package let divergence: Divergence?
  /// What the weights that the run hands out are worth, measured at its end; nil where they were not.
  package let evaluation: Evaluation?
  package let memory: MemorySnapshot
  package let peakResident: Int?
  package let programBytes: Int?
  /// nil where no weights are saved.
  package let digest: String?
  package let outDir: String
  package let meters: MeterReadings
  /// Before schedules.
  package let learningRate: Double
  /// nil where nothing is moved by it.
  package let epsilon: Double?
  package let waitSeconds: Double
  /// Seconds of `seconds` spent in the population step; nil for estimators that have none.
  package let stepSeconds: Double?
  /// Training seconds and token-columns of this process alone: what the rates are made of.
  package let session: (seconds: Double, tokenColumns: Double)
  /// nil where there was an update.
  package let nothingLearned: NothingLearned?

  init(
    _ trainer: Trainer, stoppedBy: StopReason, divergence: Divergence?, evaluation: Evaluation?,
    waitSeconds: Double,
    stepSeconds: Double?,
    session: (seconds: Double, tokenColumns: Double)
  ) throws {
    plan = trainer.plan
    progress = trainer.progress
    tokens = trainer.tokens
    self.stoppedBy = stoppedBy
    self.divergence = divergence
    self.evaluation = evaluation
    memory = trainer.ledger.snapshot()
    peakResident = ResidentSet.read()?.peak
    programBytes = trainer.programBytes
    digest =
      plan.run.savesWeights && divergence.map { $0.good != nil } ?? true
      ? try SafetensorsWriter.digest(of: trainer.model.finalTensors, through: trainer.transfer) : nil
    outDir = trainer.folder.path
    learningRate = trainer.baseRate
    epsilon = plan.estimator.family.takesDifferences ? trainer.epsilon : nil
    meters = trainer.progress.meters.readings(
      trainer.plan.directions, updateNorm: trainer.lastUpdateNorm)
    self.waitSeconds = waitSeconds
    self.stepSeconds = stepSeconds
    self.session = session
    nothingLearned = trainer.nothingLearned
  }

  /// Tokens times the columns that processed them.
  package var tokenColumns: Int { progress.tokensPerStream * plan.columns }
  /// Of this session; nil where it has trained nothing.
  package var rate: Double? {
    session.seconds > 0 && session.tokenColumns > 0 ? session.tokenColumns / session.seconds : nil
  }
  package var gflops: Double? { rate.map { $0 * plan.flopsPerTokenColumn / 1e9 } }

  /// The held-out loss of the weights that the run hands out: from its end, or else from when they were measured.
  package var heldOut: HeldOutRecord.Point? {
    let kept = plan.keepsBestWeights ? progress.heldOut?.best : nil
    guard let e = evaluation else { return kept ?? progress.heldOut?.last }
    return HeldOutRecord.Point(step: kept?.step ?? progress.step, lossNats: e.lossNats, targets: e.targets)
  }

  // MARK: For programs

  public var reason: StopReason { stoppedBy }
  /// Updates in all, those before a resume included.
  public var steps: Int { progress.step }
  /// Bits a token over about the last windows; nil before the first.
  public var trainingBits: Double? { progress.smoothedLoss.map { $0 / log(2) } }
  /// Bits a token of the weights that the run hands out; nil where nothing was held out, or it was not measured.
  public var heldOutBits: Double? { heldOut.map { $0.lossNats / log(2) } }
  /// Equal exactly when the weights are, bit for bit; nil where none are saved.
  public var weightsDigest: String? { digest }
  /// The most bytes that the run has held, by category.
  public var peakMemory: MemoryTable { memory.peak }
}
