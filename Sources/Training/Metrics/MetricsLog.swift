import Foundation
import LongzooMemory

/// One line of `metrics.jsonl`. What was not measured is nil, and null in the file; so is NaN.
package struct MetricsRecord: Equatable {
  package var step: Int
  /// Stream tokens consumed so far.
  package var tokens: Int
  /// Nats a token.
  package var trainLoss: Double?
  /// Nats a token.
  package var valLoss: Double?
  package var learningRate: Double?
  package var tokensPerSecond: Double?
  /// Bytes resident now.
  package var residentBytes: Int?
  /// Seconds since the run began, over all its resumptions.
  package var wallSeconds: Double?
  package var meters: MeterReadings?

  package init(
    step: Int, tokens: Int, trainLoss: Double? = nil, valLoss: Double? = nil, learningRate: Double? = nil,
    tokensPerSecond: Double? = nil, residentBytes: Int? = nil, wallSeconds: Double? = nil,
    meters: MeterReadings? = nil
  ) {
    self.step = step
    self.tokens = tokens
    self.trainLoss = trainLoss
    self.valLoss = valLoss
    self.learningRate = learningRate
    self.tokensPerSecond = tokensPerSecond
    self.residentBytes = residentBytes
    self.wallSeconds = wallSeconds
    self.meters = meters
  }

  /// The line, without its newline.
  package var json: String {
    """
    {"step":\(step),"tokens":\(tokens),"train/loss":\(JSONText.number(trainLoss)),\
    "val/loss":\(JSONText.number(valLoss)),"lr":\(JSONText.number(learningRate)),\
    "tok_per_s":\(JSONText.number(tokensPerSecond)),"rss_bytes":\(JSONText.number(residentBytes)),\
    "wall_s":\(JSONText.number(wallSeconds))\(meters.map { "," + $0.line } ?? "")}
    """
  }
}

/// The append-only log of a run.
package final class MetricsLog {
  private let file: FileSink

  /// Opens `path` for appending, and makes it if there is none.
  /// - Throws: exit code 74.
  package convenience init(path: String) throws(RunFailure) {
    guard let descriptor = try RegularFile.open(path, O_WRONLY | O_CREAT | O_APPEND) else {
      throw .system("write", path, errno: ENOENT)
    }
    self.init(FileSink(descriptor: descriptor, path: path))
  }

  /// Takes over the descriptor.
  package init(_ file: FileSink) {
    self.file = file
  }

  deinit {
    close(file.descriptor)
  }

  /// Adds one line with one write, so that readers see whole lines.
  /// - Throws: exit code 74.
  package func append(_ record: MetricsRecord) throws(RunFailure) {
    try file.write(record.json + "\n")
  }

  /// Adds a line of another kind: an object with at least a step.
  package func append(line: String) throws(RunFailure) {
    try file.write(line + "\n")
  }

  /// Drops the lines behind `step`, atomically, for a run that resumes there; -1 empties the log.
  ///
  /// What is no record goes as well: a killed run may leave a torn last line. No file is no error.
  /// - Throws: exit code 74.
  package static func truncate(_ path: String, toStep step: Int) throws {
    guard let old = try LineReader(path: path) else { return }
    try AtomicFile.write(to: path, isOfRun: true) { file in
      while let line = try old.next() {
        guard let recorded = Self.step(of: line.text), recorded <= step else { continue }
        try file.write(line.text)
        try file.write("\n")
      }
    }
  }

  private static func step(of line: UnsafeRawBufferPointer) -> Int? {
    let object = try? JSONSerialization.jsonObject(with: Data(line)) as? [String: Any]
    return object?["step"] as? Int
  }
}
