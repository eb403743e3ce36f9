import Foundation
import LongzooMemory
import LongzooModel
import LongzooStream

/// Weights that have been trained, for what is done with them afterwards.
///
///     let model = try TrainedModel(at: "runs/first")
///     print(try model.evaluate(RunPlan(files: ["other.txt"]).data).bitsPerToken)
public final class TrainedModel {
  /// The file that the weights are from.
  public let path: String
  public let shape: ModelShape
  /// How the data was stored that it was trained on; nil: nobody knows.
  public let tokenType: TokenType?
  /// What was to be predicted of it; nil: nobody knows.
  public let targets: TargetChoice?

  private let weights: PackedWeights
  private let pool: ThreadPool
  private let ledger: MemoryLedger

  /// - Parameters:
  ///   - path: a run's folder, of which the best weights are taken, or a safetensors file.
  ///   - threads: nil: all processors.
  /// - Throws: `RunFailure` if there is no file, or none that holds such a model.
  public convenience init(at path: String, threads: Int? = nil) throws {
    try self.init(SafetensorsReader(path: RunFolder.weights(path)), threads: threads)
  }

  package init(_ file: SafetensorsReader, threads: Int?, ledger: MemoryLedger = MemoryLedger()) throws {
    path = file.path
    shape = try WeightsFile.shape(of: file)
    (tokenType, targets) = WeightsFile.data(of: file)
    self.ledger = ledger
    weights = try PackedWeights(Layout(shape, kind: .rank1, exactReadout: true), ledger: ledger)
    pool = try ThreadPool(threads: threads ?? ProcessInfo.processInfo.activeProcessorCount)
    try PackedWeightsFile.read(file, into: weights, through: TransferBuffer(ledger: ledger), on: pool)
  }

  /// Measures the model on data that it need not have seen: the state is carried from zero through all of it.
  ///
  /// - Parameters:
  ///   - data: its vocabulary is the model's, and where it does not say how it is stored, it is stored as what the model was
  ///     trained on.
  ///   - resetEvery: tokens after which the state goes back to zero; 0: never.
  ///   - limit: predictions at most; 0: all.
  ///   - observe: told again and again how many predictions were made.
  ///   - host: its `stop` gives the evaluation up, its `warn` is told what is odd about the data.
  /// - Returns: the figures, which of an evaluation that was given up are those of the tokens before (`isPartial`); nil if there was nothing
  ///   to predict.
  /// - Throws: `RunFailure` if the data cannot be that of the model; what reading it throws.
  public func evaluate(
    _ data: DataPlan, resetEvery: Int = 0, limit: Int = 0, host: RunHost = RunHost(),
    observe: (Int) -> Void = { _ in }
  ) throws -> Evaluation? {
    let stream = try self.stream(data).read(for: host)
    // A pipe is read once, by one reader.
    let isPipe = data.paths.contains(where: DataPath.isPipe)
    let readers = resetEvery > 0 && !isPipe ? min(pool.threads, EvaluationReader.lanes) : 1
    let evaluator = try Evaluator(
      weights, isMarked: stream.targets == .marked, readers: readers,
      threads: readers > 1 ? 1 : pool.threads, ledger: ledger)
    do {
      return try evaluator.evaluate(
        (0..<readers).map { reader in
          var own = stream
          if reader > 0 { own.notify = nil }
          return try HeldOutReader(own, isReadOnce: true, ledger: ledger)
        }, limit: limit, resetEvery: resetEvery, on: pool, observe: observe, stop: host.isStopped)
    } catch let error as StreamError {
      if error.kind == .interrupted { return nil }
      throw error
    }
  }

  private func stream(_ data: DataPlan) throws(RunFailure) -> StreamConfiguration {
    if data.$vocabularySize.isGiven, data.vocabularySize != shape.vocabularySize {
      throw .usage(
        "\(.vocabularySize) \(data.vocabularySize): the model in \(path) has \(shape.vocabularySize)")
    }
    let targets = data.$targets.isGiven ? data.targets : self.targets ?? .all
    let isByte = shape.vocabularySize <= 256
    guard let type = data.$tokenType.isGiven ? data.tokenType : tokenType ?? (isByte ? .u8 : nil) else {
      throw .usage(
        "\(path) does not say how its data is stored, and \(shape.vocabularySize) ids are too many for bytes; give \(.tokenType) u16 or u32"
      )
    }
    if targets == .marked, shape.vocabularySize > type.range(.marked) {
      throw .usage(
        "\(.targets) marked: a \(type.rawValue) token has only \(type.range(.marked)) ids, and the model in \(path) has \(shape.vocabularySize)"
      )
    }
    var configuration = data.configuration
    configuration.paths = data.paths.map(DataPath.normalized)
    (configuration.tokenType, configuration.targets) = (type, targets)
    configuration.vocabularySize = shape.vocabularySize
    configuration.holdoutFraction = 0
    var stream = StreamConfiguration(configuration, streams: 1, chunkTokens: 1)
    stream.isVocabularyFixed = true
    return stream
  }
}
