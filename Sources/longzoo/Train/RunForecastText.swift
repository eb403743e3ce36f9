import LongzooMemory
import LongzooTraining

/// The plan of `--dry-run`.
extension RunForecast {
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
