import ArgumentParser
import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooTraining

struct ReplayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Makes the weights of any step of a run again, bit for bit, from its replay log.",
    discussion: """
      The run must have been made with --replay-log. It is followed from its initial weights, or from a checkpoint, without its data.
      """)

  @Argument(help: ArgumentHelp("A run folder, or a replay log.", valueName: "run")) var path: String
  @Option(help: "Updates after which the weights are wanted.", transform: TokenCount.number) var step: Int
  @Option(
    help: ArgumentHelp(
      "Start from this checkpoint. (default: the initial weights; for a log that was begun later, the run's checkpoint)",
      valueName: "path"))
  var from: String?
  @Option(
    name: [.customShort("o"), .customLong("out")],
    help: ArgumentHelp("Write the weights that the run would have handed out.", valueName: "file"))
  var out: String?
  @Option(help: "Threads. (default: all processors)", transform: TokenCount.number) var threads: Int?
  @Flag(help: "Print one JSON object on standard output.") var json = false

  func validate() throws {
    if step < 0 { throw ValidationError("--step must be at least 0.") }
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads \(threads) is not from 1 to 1024.")
    }
  }

  func run() throws {
    let log = try logPath()
    let reader = try ReplayReader(path: log)
    try refuseEarlier(log, reader)
    let replay = try Replay(
      reader, threads: threads ?? ProcessInfo.processInfo.activeProcessorCount, checkpoint: try start(reader))
    try replay.follow(to: step, stop: { Signals.received != nil })
    let tensors = replay.model.finalTensors
    if let out {
      try SafetensorsWriter.write(
        to: out, metadata: WeightsFile.metadata(reader.plan, step: step, heldOut: nil),
        tensors: tensors, through: replay.transfer)
    }
    let digest = try SafetensorsWriter.digest(of: tensors, through: replay.transfer)
    try StandardStreams.printResult(
      json
        ? "{\"command\":\"replay\",\"step\":\(replay.step),\"from_step\":\(replay.firstStep),"
          + "\"updates\":\(replay.model.updates),\"parameters_digest\":\"\(digest)\","
          + "\"out\":\(out.map(JSONText.quoted) ?? "null")}"
        : "the weights of step \(replay.step), from those of step \(replay.firstStep): digest \(digest.prefix(16))"
          + (out.map { ", in \($0)" } ?? ""))
  }

  /// A log that an earlier run has left in a folder is not that of the run in it.
  private func refuseEarlier(_ log: String, _ reader: ReplayReader) throws(RunFailure) {
    guard let configuration = try RunIdentity.configuration(besides: log),
      configuration["identity"]?.text != reader.plan.run.identity
    else { return }
    throw .badData(
      "\(log) is the log of an earlier run in its folder, and not that of the run whose config.json is there; a copy in a folder of its own "
        + "can be followed")
  }

  private func logPath() throws(RunFailure) -> String {
    var isFolder: ObjCBool = false
    let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
    guard exists, isFolder.boolValue else { return path }
    let log = path + "/" + ReplayFormat.fileName
    try RegularFile.require(log)
    return log
  }

  /// The checkpoint to start from; nil: the initial weights.
  private func start(_ reader: ReplayReader) throws -> SafetensorsReader? {
    if let from { return try SafetensorsReader(path: RunFolder.checkpoint(from)) }
    guard reader.firstStep > 0 else { return nil }
    let folder = RunFolder.parent(of: reader.path)
    guard let path = try? RunFolder.checkpoint(folder), let file = try? SafetensorsReader(path: path),
      let state = try? Checkpoint.state(of: file), state.progress.step <= step
    else {
      throw RunFailure.usage(
        "\(reader.path) begins at step \(reader.firstStep), where the run was resumed; give --from a checkpoint of that step or later, up to \(step)"
      )
    }
    return file
  }
}
