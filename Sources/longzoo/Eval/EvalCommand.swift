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
    let file = try SafetensorsReader(path: RunFolder.weights(checkpoint))
    let shape = try WeightsFile.shape(of: file)
    if let vocabulary = data.vocabSize, vocabulary != shape.vocabularySize {
      throw RunFailure.usage(
        "--vocab-size \(vocabulary): the model in \(file.path) has \(shape.vocabularySize)")
    }
    let stored = WeightsFile.data(of: file)
    let targets = data.targets ?? stored.targets ?? .all
    guard let dtype = data.dtype ?? stored.dtype ?? (shape.vocabularySize <= 256 ? .u8 : nil) else {
      throw RunFailure.usage(
        "\(file.path) does not say how its data is stored, and \(shape.vocabularySize) ids are too many for bytes; give --dtype u16 or u32"
      )
    }
    if targets == .marked, shape.vocabularySize > dtype.range(.marked) {
      throw RunFailure.usage(
        "--targets marked: a \(dtype.rawValue) token has only \(dtype.range(.marked)) ids, and the model in \(file.path) has \(shape.vocabularySize)"
      )
    }
    let ledger = MemoryLedger()
    let weights = try PackedWeights(Layout(shape, kind: .rank1, exactReadout: true), ledger: ledger)
    let pool = try ThreadPool(threads: threads ?? ProcessInfo.processInfo.activeProcessorCount)
    try PackedWeightsFile.read(file, into: weights, through: TransferBuffer(ledger: ledger), on: pool)
    let isPipe = paths.contains(where: DataPath.isPipe)
    var stream = StreamConfiguration(
      paths: paths.map(DataPath.normalized), tokenType: dtype, compression: data.compression ?? .auto,
      vocabularySize: shape.vocabularySize, streams: 1, chunkTokens: 1,
      skipTokens: data.skipTokens?.value ?? 0,
      expectTokens: data.expectTokens?.value, zstdWindowLog: data.zstdWindowLog ?? 27)
    stream.targets = targets
    stream.isInterrupted = { Signals.received != nil }
    stream.isVocabularyFixed = true
    stream.format = data.format ?? .auto
    let reset = resetEvery?.value ?? 0
    // A pipe is read once, by one reader.
    let readers = reset > 0 && !isPipe ? min(pool.threads, EvaluationReader.lanes) : 1
    let evaluator = try Evaluator(
      weights, isMarked: targets == .marked, readers: readers, threads: readers > 1 ? 1 : pool.threads,
      ledger: ledger)
    // What takes less than a second has nothing to tell on the way.
    let (line, start) = (ProgressLine(total: maxTokens?.value, quiet: json), MonotonicClock().now)
    defer { line.clear() }
    let evaluation = try givingUp {
      try evaluator.evaluate(
        (0..<readers).map { reader in
          try HeldOutReader(reader == 0 ? stream.warning() : stream, isReadOnce: true, ledger: ledger)
        }, limit: maxTokens?.value ?? 0, resetEvery: reset, on: pool,
        observe: { if MonotonicClock().now - start > 1 { line.update($0) } },
        stop: { Signals.received != nil })
    }
    if let signal = Signals.received { throw ExitCode(ExitStatus.signal(signal)) }
    guard let evaluation else {
      throw RunFailure.badData(
        "\(paths[0]): fewer than two tokens, \(targets == .marked ? "or none without a mark, " : "")and nothing to predict"
      )
    }
    line.clear()
    try StandardStreams.printResult(json ? jsonText(evaluation) : text(evaluation))
  }

  /// nil too where a signal ended the wait for a quiet pipe.
  private func givingUp(_ body: () throws -> Evaluation?) throws -> Evaluation? {
    do {
      return try body()
    } catch let error as StreamError where error.kind == .interrupted {
      return nil
    }
  }

  private func jsonText(_ e: Evaluation) -> String {
    let positions = e.lossByPosition.map { JSONText.number($0) }.joined(separator: ",")
    return """
      {"command":"eval","loss_nats":\(JSONText.number(e.lossNats)),"bits_per_token":\(JSONText.number(e.bitsPerToken)),\
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
    return """
      tokens           \(ByteSize.grouped(e.tokens))
      loss             \(Text.number(e.lossNats, 4)) nats/token
      bits per token   \(Text.number(e.bitsPerToken, 4))
      unigram          \(Text.number(e.unigramBits, 4)) bits/token: the best fixed table for these very tokens
      bigram           \(Text.number(e.bigramBits, 4)) bits/token: the same with the token before\(score)
      """
  }
}
