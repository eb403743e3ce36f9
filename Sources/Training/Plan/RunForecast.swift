import Foundation
import LongzooMemory
import LongzooModel
import LongzooStream

/// What a run would do, before it does any of it: What cannot be known cheaply is nil.
package struct RunForecast {
  package let parameters: Int
  package let trainingTokens: Int?
  package let heldOutTokens: Int?
  /// What all streams read for an update.
  package let tokensPerUpdate: Int
  /// Stream tokens that the run will have read.
  package let tokens: Int?
  package let updates: Int?
  /// Stored bytes that are read in one pass over the training data.
  package let bytesPerPass: Int?
  package let modelBytes: Int
  package let checkpointBytes: Int

  /// Times that the training data is gone through.
  package var passes: Double? {
    guard let tokens, let trainingTokens, trainingTokens > 0 else { return nil }
    return Double(tokens) / Double(trainingTokens)
  }

  /// Stored bytes that the training reads in all.
  package var bytesRead: Int? {
    guard let passes, let bytesPerPass else { return nil }
    return Int(exactly: (passes * Double(bytesPerPass)).rounded())
  }

  /// - Throws: what opening the data throws.
  package init(_ c: RunPlan) throws {
    let outline = try DataOutline(c.trainingData)
    parameters = c.shape.parameterCount
    trainingTokens = outline?.trainingTokens
    heldOutTokens =
      c.data.heldOutPath == nil
      ? outline?.heldOutTokens : try c.heldOutData.flatMap { try DataOutline($0) }?.trainingTokens
    tokensPerUpdate = RunLimits.product(c.streaming.streams, c.longestWindow)
    let limits = RunLimits(c, trainingTokens: trainingTokens)
    tokens = limits.totalTokens
    let perUpdate = tokensPerUpdate
    // The last update ends where the limit is reached, or after it.
    updates = tokens.map { max(1, ($0 - 1) / perUpdate + 1) }
    bytesPerPass = outline.map { outline in
      guard let training = outline.trainingTokens, let heldOut = outline.heldOutTokens,
        training + heldOut > 0
      else {
        return outline.storedBytes
      }
      return Int(Double(outline.storedBytes) * Double(training) / Double(training + heldOut))
    }
    modelBytes = MemoryPlan.modelBytes(c)
    checkpointBytes = MemoryPlan.checkpointBytes(c)
  }
}
