import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooStream

/// What the parts of a run are configured with.
extension RunConfiguration {
  /// How evaluation reads the weights; directions play no part in it.
  var evaluatedLayout: Layout { Layout(shape, kind: .rank1, exactReadout: true) }

  var bptt: BPTT.Configuration {
    let schedule: Checkpointing =
      switch checkpointing {
      case .none: .none
      case .sqrt: .sqrt
      case .every(let tokens): .every(tokens)
      case .binomial: .within(bytes: checkpointingBudget ?? .max)
      }
    return BPTT.Configuration(
      streams: streams, window: tokensOfWindow, checkpointing: schedule,
      clip: clipNorm > 0 ? Float(clipNorm) : nil)
  }

  var hybrid: Hybrid.Configuration {
    Hybrid.Configuration(
      exact: bptt, pairs: pairs, epsilon: Float(epsilon), kind: directions, lifetime: lifetime,
      momentum: Float(beyondMomentum), chunk: chunk, seed: seed)
  }

  var cdrge: CDRGE.Configuration {
    var c = CDRGE.Configuration(
      pairs: pairs, epsilon: Float(epsilon), kind: directions, exactReadout: readout == .exact,
      lifetime: lifetime, streams: streams, chunk: chunk, seed: seed)
    c.inPlace = regime == .inPlace
    c.step = step
    c.method = estimator.method ?? .central
    c.maxDivergence = Float(maxDivergence)
    c.measuredEvery = RunMeters.measuredEvery
    // Windows that are whole contexts begin with zero states: nothing goes from one to the next, nor between tiles.
    c.carriesStates = !(c.inPlace && window == .context && reset != .never && context <= chunk)
    // Such a window is one chunk, and nothing longer ever comes.
    if !c.carriesStates { c.chunk = context }
    return c
  }

  var node: NodePerturbation.Configuration {
    var c = NodePerturbation.Configuration(
      pairs: pairs, epsilon: Float(epsilon), creditDecay: Float(creditDecay ?? Self.defaultCreditDecay),
      exactReadout: readout == .exact, window: tokensOfWindow, streams: streams, chunk: chunk, seed: seed)
    c.measuredEvery = RunMeters.measuredEvery
    return c
  }

  var optimizerConfiguration: Optimizer.Configuration {
    Optimizer.Configuration(
      kind: optimizer, momentum: Float(momentum), beta2: Float(beta2), weightDecay: Float(weightDecay),
      tableRate: Float(tableRate ?? 1))
  }

  var trainingData: StreamConfiguration {
    var data = StreamConfiguration(
      paths: paths, tokenType: dtype, compression: compression, vocabularySize: vocabularySize,
      streams: streams,
      chunkTokens: chunk, skipTokens: skipTokens, expectTokens: expectTokens,
      holdoutFraction: valFraction > 0 ? valFraction : nil, zstdWindowLog: zstdWindowLog)
    data.targets = targets
    data.isInterrupted = { Signals.received != nil }
    data.countsTokens = RunLimits(self, trainingTokens: nil).countsPasses
    data.format = format ?? .auto
    return data
  }

  /// nil where nothing is held out.
  var heldOutData: StreamConfiguration? {
    guard hasHeldOut else { return nil }
    var data = trainingData
    data.streams = 1
    if let valPath {
      data.paths = [valPath]
      data.skipTokens = 0
      data.expectTokens = nil
      data.holdoutFraction = nil
    }
    return data
  }
}

extension StreamConfiguration {
  /// With its warnings on standard error.
  func warning() -> StreamConfiguration {
    var data = self
    data.notify = { StandardStreams.tell("longzoo: warning: \($0.commandText)\n") }
    return data
  }
}
