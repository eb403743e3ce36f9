import ArgumentParser
import Foundation
import LongzooMemory
import LongzooModel
import LongzooStream
import LongzooTraining

struct EvalCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "eval", abstract: "Measures a trained model on token files.",
    discussion: "The state is carried from a zero state through all of the data.")

  @Argument(help: "A run folder or a safetensors file.") var checkpoint: String
  @Argument(
    help: ArgumentHelp("Token files, plain or compressed, or one pipe: - or <(…).", valueName: "data"))
  var paths: [String]
  @OptionGroup(title: "Data") var data: DataOptions
  @Option(help: "Predict at most N tokens.", transform: TokenCount.parse) var maxTokens: TokenCount?
  @Option(
    help:
      "Set the state back to zero every N tokens: what carrying it is worth. The pieces are shared by the threads.",
    transform: TokenCount.parse
  )
  var resetEvery: TokenCount?
  @Option(help: "Threads. (default: all processors)", transform: TokenCount.number) var threads: Int?
  @Flag(help: "Print one JSON object on standard output.") var json = false

  func validate() throws {
    if paths.isEmpty { throw ValidationError("name the data to evaluate on.") }
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads \(threads) is not from 1 to 1024.")
    }
    if let vocabulary = data.vocabSize, vocabulary < 1 {
      throw ValidationError("--vocab-size must be at least 1.")
    }
  }

  func run() throws {
    let model = try TrainedModel(at: checkpoint, threads: threads)
    var plan = DataPlan()
    plan.paths = paths
    data.apply(to: &plan)
    // What takes less than a second has nothing to tell on the way.
    let (line, start) = (ProgressLine(total: maxTokens?.value, quiet: json), MonotonicClock().now)
    defer { line.clear() }
    let evaluation = try model.evaluate(
      plan, resetEvery: resetEvery?.value ?? 0, limit: maxTokens?.value ?? 0,
      host: .commandLine(quiet: json), observe: { if MonotonicClock().now - start > 1 { line.update($0) } })
    if let signal = Signals.received { try end(evaluation, by: signal, line) }
    guard let evaluation else {
      let isMarked = (data.targets ?? model.targets) == .marked
      throw RunFailure.badData(
        "\(paths[0]): fewer than two tokens, \(isMarked ? "or none without a mark, " : "")and nothing to predict"
      )
    }
    line.clear()
    try StandardStreams.printResult(json ? jsonText(evaluation) : text(evaluation))
  }

  /// After a signal: what was measured until then.
  private func end(_ evaluation: Evaluation?, by signal: Int32, _ line: ProgressLine) throws {
    line.clear()
    if let evaluation {
      try StandardStreams.printResult(json ? jsonText(evaluation) : text(evaluation))
    } else {
      StandardStreams.tell("longzoo: stopped before anything was measured\n")
    }
    throw ExitCode(ExitStatus.signal(signal))
  }

  private func jsonText(_ e: Evaluation) -> String {
    let positions = e.lossByPosition.map { JSONText.number($0) }.joined(separator: ",")
    return """
      {"command":"eval","partial":\(e.isPartial),"loss_nats":\(JSONText.number(e.lossNats)),"bits_per_token":\(JSONText.number(e.bitsPerToken)),\
      "tokens":\(e.tokens),"targets":\(e.targets),"unigram_bits":\(JSONText.number(e.unigramBits)),"bigram_bits":\(JSONText.number(e.bigramBits)),\
      "loss_by_position":[\(positions)],"accuracy":\(JSONText.number(e.answers?.accuracy)),\
      "sequence_accuracy":\(JSONText.number(e.answers?.sequenceAccuracy)),"answers":\(JSONText.number(e.answers?.answers))}
      """
  }

  private func text(_ e: Evaluation) -> String {
    let score =
      e.answers.map {
        """

        targets          \(ByteSize.grouped(e.targets)) in \(ByteSize.grouped($0.answers)) answers
        right targets    \(Text.number(100 * $0.accuracy, 2)) %
        right answers    \(Text.number(100 * $0.sequenceAccuracy, 2)) %
        """
      } ?? ""
    let tables =
      e.isPartial
      ? ""
      : """

      unigram          \(Text.number(e.unigramBits, 4)) bits/token: the best fixed table for these very tokens
      bigram           \(Text.number(e.bigramBits, 4)) bits/token: the same with the token before
      """
    let part = e.isPartial ? " (partial: it was stopped there)" : ""
    return """
      tokens           \(ByteSize.grouped(e.tokens))\(part)
      loss             \(Text.number(e.lossNats, 4)) nats/token
      bits per token   \(Text.number(e.bitsPerToken, 4))\(tables)\(score)
      """
  }
}
