import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooStream

/// What the parts of a run are configured with.
extension RunPlan {
  /// How evaluation reads the weights; directions play no part in it.
  package var evaluatedLayout: Layout { Layout(shape, kind: .rank1, exactReadout: true) }

  package var bptt: BPTT.Configuration {
    let schedule: Checkpointing =
      switch estimator.checkpointing {
      case .none: .none
      case .sqrt: .sqrt
      case .every(let tokens): .every(tokens)
      case .binomial: .within(bytes: estimator.checkpointingBudget ?? .max)
      }
    return BPTT.Configuration(
      streams: streaming.streams, window: tokensOfWindow, checkpointing: schedule,
      clip: estimator.clipNorm > 0 ? Float(estimator.clipNorm) : nil)
  }

  package var hybrid: Hybrid.Configuration {
    Hybrid.Configuration(
      exact: bptt, pairs: estimator.pairs, epsilon: Float(estimator.epsilon), kind: directions,
      lifetime: estimator.lifetime,
      momentum: Float(estimator.beyondMomentum), chunk: chunk, seed: run.seed)
  }

  package var cdrge: CDRGE.Configuration {
    var c = CDRGE.Configuration(
      pairs: estimator.pairs, epsilon: Float(estimator.epsilon), kind: directions,
      exactReadout: estimator.readout == .exact,
      lifetime: estimator.lifetime, streams: streaming.streams, chunk: chunk, seed: run.seed)
    c.inPlace = run.regime == .inPlace
    c.step = estimator.step
    c.method = estimator.family.method ?? .central
    c.maxDivergence = Float(estimator.maxDivergence)
    c.measuredEvery = RunMeters.measuredEvery
    // Windows that are whole contexts begin with zero states: nothing goes from one to the next, nor between tiles.
    c.carriesStates =
      !(c.inPlace && streaming.window == .context && streaming.reset != .never && streaming.context <= chunk)
    // Such a window is one chunk, and nothing longer ever comes.
    if !c.carriesStates { c.chunk = streaming.context }
    return c
  }

  package var node: NodePerturbation.Configuration {
    var c = NodePerturbation.Configuration(
      pairs: estimator.pairs, epsilon: Float(estimator.epsilon), creditDecay: Float(estimator.creditDecay),
      exactReadout: estimator.readout == .exact, window: tokensOfWindow, streams: streaming.streams,
      chunk: chunk, seed: run.seed)
    c.measuredEvery = RunMeters.measuredEvery
    return c
  }

  package var optimizerConfiguration: Optimizer.Configuration {
    Optimizer.Configuration(
      kind: optimizer.kind, momentum: Float(optimizer.momentum), beta2: Float(optimizer.beta2),
      weightDecay: Float(optimizer.weightDecay),
      tableRate: Float(optimizer.tableRate))
  }

  package var trainingData: StreamConfiguration {
    var stream = StreamConfiguration(
      paths: data.paths, tokenType: data.tokenType, compression: data.compression,
      vocabularySize: data.vocabularySize, streams: streaming.streams, chunkTokens: chunk,
      skipTokens: data.skipTokens, expectTokens: data.expectTokens,
      holdoutFraction: data.holdoutFraction > 0 ? data.holdoutFraction : nil,
      windowLogMax: data.zstdWindowLog)
    stream.targets = data.targets
    stream.countsTokens = RunLimits(self, trainingTokens: nil).countsPasses
    stream.format = data.format
    return stream
  }

  /// nil where nothing is held out.
  package var heldOutData: StreamConfiguration? {
    guard data.hasHeldOut else { return nil }
    var stream = trainingData
    stream.streams = 1
    if let path = data.heldOutPath {
      stream.paths = [path]
      stream.skipTokens = 0
      stream.expectTokens = nil
      stream.holdoutFraction = nil
    }
    return stream
  }
}
