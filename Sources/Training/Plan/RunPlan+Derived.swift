import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel

/// What follows from a plan.
extension RunPlan {
  /// A loss that stays above it ends the run; nil: none does.
  package var highestLoss: Double? {
    limits.stopAbove.map { $0 > 0 ? $0 : nil } ?? log(Double(data.vocabularySize)) + DivergenceWatch.rise
  }
  /// Weight of the newest window in the running mean of the loss.
  package var lossSmoothing: Double { 1 / Double(run.lossWindows) }
  package var directions: DirectionKind { estimator.configuration.directions }

  /// Operations of the shared products; a backward pass is two more of a forward's size, and what is recomputed is not counted.
  package var flopsPerTokenColumn: Double { shape.flopsPerTokenColumn * (!estimator.family.isExact ? 1 : 3) }

  /// Tokens between resets; nil: never.
  package var tokensToReset: Int? {
    streaming.context == 0 || streaming.reset == .never ? nil : streaming.context
  }

  /// When each stream's contexts begin; nil: all at once.
  package var staggeredContexts: StaggeredContexts? {
    guard let context = tokensToReset, streaming.reset == .context,
      !estimator.family.isUnrolled
    else {
      return nil
    }
    return StaggeredContexts(context: context, window: tokensOfWindow, streams: streaming.streams)
  }

  /// Held-out tokens that an evaluation reads at most; 0: all.
  package var evaluatedTokens: Int { run.evalTokens ?? ExecutionPlan.defaultEvaluatedTokens }
  /// Whether the weights that a run hands out are those that did best on held-out tokens, and not the last ones.
  package var keepsBestWeights: Bool { data.hasHeldOut && run.savesWeights && run.evalInterval != 0 }

  package var shape: ModelShape {
    var shape = ModelShape(
      vocabularySize: data.vocabularySize, hiddenSize: model.hiddenSize, layers: model.layers,
      heads: model.heads, cell: model.cell, block: model.block, embeddingSize: model.embeddingSize)
    if model.cell.isWholeModel {
      (shape.memorySlots, shape.readHeads, shape.startsEmpty) = (
        model.memorySlots, model.readHeads, model.emptyMemory
      )
    }
    return shape
  }

  package var initialization: Initialization {
    Initialization(tokenScale: model.tokenScale.map(Float.init), memorySpan: model.memorySpan)
  }

  /// Tokens of a stream that an update reads at most: a window ends with its context.
  package var longestWindow: Int { max(1, min(tokensOfWindow, tokensToReset ?? .max)) }

  package var tokensOfWindow: Int { streaming.window.tokens ?? streaming.context }

  private var chunksPerWindow: Int {
    // Not rounded up by a sum: a window may be of any length.
    (tokensOfWindow - 1) / chunk + 1
  }

  /// What a run looks for by itself, in this order.
  package var searched: [SearchedSetting] {
    (optimizer.searchesRate ? [.rate] : []) + (estimator.searchesEpsilon ? [.epsilon] : [])
  }
  package var searchedSettings: Wording {
    let all = searched.map(\.wording)
    return all.dropFirst().reduce(all.first ?? "") { "\($0) and \($1)" }
  }

  /// Windows that searched settings are tried on; nil where they are too long.
  package var searchWindows: Int? {
    let (bytes, overflow) = chunksPerWindow.multipliedReportingOverflow(
      by: streaming.streams * (chunk + 1) * MemoryLayout<UInt32>.stride)
    return overflow ? nil : SettingSearch.windows(bytesPerWindow: bytes)
  }

  /// Chunks of tokens that are kept for a search.
  package var keptChunks: Int { searched.isEmpty ? 0 : (searchWindows ?? 0) * chunksPerWindow }
}
