import Foundation
import LongzooMemory
import LongzooModel
import LongzooStream

/// What a run would do, before it does any of it: `--dry-run`. What cannot be known cheaply is nil.
struct RunPlan {
  let parameters: Int
  let trainingTokens: Int?
  let heldOutTokens: Int?
  /// Of all streams.
  let tokensPerUpdate: Int
  /// Stream tokens that the run will have read.
  let tokens: Int?
  let updates: Int?
  /// Stored bytes that are read in one pass over the training data.
  let bytesPerPass: Int?
  let modelBytes: Int
  let checkpointBytes: Int

  /// Times that the training data is gone through.
  var passes: Double? {
    guard let tokens, let trainingTokens, trainingTokens > 0 else { return nil }
    return Double(tokens) / Double(trainingTokens)
  }

  /// Stored bytes that the training reads in all.
  var bytesRead: Int? {
    guard let passes, let bytesPerPass else { return nil }
    return Int(exactly: (passes * Double(bytesPerPass)).rounded())
  }

  /// - Throws: what opening the data throws.
  init(_ c: RunConfiguration) throws {
    let outline = try DataOutline(c.trainingData)
    parameters = c.shape.parameterCount
    trainingTokens = outline?.trainingTokens
    heldOutTokens =
      c.valPath == nil
      ? outline?.heldOutTokens : try c.heldOutData.flatMap { try DataOutline($0) }?.trainingTokens
    tokensPerUpdate = RunLimits.product(c.streams, max(1, c.tokensOfWindow))
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

  var json: String {
    let fields: [(String, String)] = [
      ("parameters", "\(parameters)"), ("training_tokens", JSONText.number(trainingTokens)),
      ("held_out_tokens", JSONText.number(heldOutTokens)),
      ("tokens_per_update", "\(tokensPerUpdate)"),
      ("tokens", JSONText.number(tokens)), ("updates", JSONText.number(updates)),
      ("passes", JSONText.number(passes)), ("bytes_per_pass", JSONText.number(bytesPerPass)),
      ("bytes_read", JSONText.number(bytesRead)), ("model_bytes", "\(modelBytes)"),
      ("checkpoint_bytes", "\(checkpointBytes)"),
    ]
    return "{" + fields.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
  }

  var text: String {
    func count(_ number: Int?) -> String {
      number.map(ByteSize.grouped) ?? "not known before it is decoded"
    }
    let length =
      tokens.map { tokens in
        ByteSize.grouped(tokens) + " tokens"
          + (updates.map { " in \(ByteSize.grouped($0)) updates" } ?? "")
          + (passes.map { ", \(Quantity.significant($0, 3)) passes over the training data" } ?? "")
      }
      ?? (updates.map { "\(ByteSize.grouped($0)) updates" }
        ?? "until it is stopped, or the data ends")
    let read =
      bytesPerPass.map {
        "about \(ByteSize.formatted($0)) a pass"
          + (bytesRead.map { ", \(ByteSize.formatted($0)) in all" } ?? "")
      } ?? "a pipe"
    return """
      What it would do:
        parameters       \(ByteSize.grouped(parameters))
        training tokens  \(count(trainingTokens))
        held-out tokens  \(count(heldOutTokens))
        an update reads  \(ByteSize.grouped(tokensPerUpdate)) tokens
        length           \(length)
        reads            \(read)
        writes           about \(ByteSize.formatted(checkpointBytes)) of checkpoint and \(ByteSize.formatted(modelBytes)) of model each time that it saves
      """
  }
}
