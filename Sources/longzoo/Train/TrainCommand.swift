import ArgumentParser
import Foundation
import LongzooMemory
import LongzooStream
import LongzooTraining

struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Trains a model on a token stream.",
    discussion: """
      Without DATA the bundled corpus is used; - is standard input; several files are one stream, in the order given.
      A run without --max-… and --epochs ends when every stream has run through one context (of tbptt and hybrid: a million tokens) or the data was read \(Int(RunLimits.defaultPasses)) times, whichever comes first, or at the end of a pipe.
      """)

  @Argument(
    help: ArgumentHelp(
      "Token files, plain or compressed (zstd, lz4), or one pipe: - or <(…).", valueName: "data"))
  var paths: [String] = []
  @OptionGroup(title: "Data") var data: DataOptions
  @OptionGroup(title: "Held-out data") var heldOut: HeldOutOptions
  @OptionGroup(title: "Model") var model: ModelOptions
  @OptionGroup(title: "Streaming") var streaming: StreamingOptions
  @OptionGroup(title: "Estimator") var estimator: EstimatorOptions
  @OptionGroup(title: "Optimizer") var optimizer: OptimizerOptions
  @OptionGroup(title: "Run") var limits: RunOptions
  @Option(
    help: ArgumentHelp(
      "Go on with a run: its folder or checkpoint (alone: that of --out-dir), with its options unless others are given.",
      valueName: "path"))
  var resume: String?
  @Flag(
    help:
      "With --resume and DATA: go on with other data, from its start; weights, optimizer, states and counters stay, --streams too."
  )
  var newData = false
  @Flag(help: "Remove the run that --out-dir holds, and begin a new one there.") var overwrite = false
  @Flag(help: "Print what the run would hold, read and write, and stop.") var dryRun = false
  @Flag(help: "Print one JSON object on standard output at the end.") var json = false
  @Flag(help: "No progress, and no summary.") var quiet = false

  func run() throws {
    guard let summary = try train(host: .commandLine(quiet: quiet)) else { return }
    if json || !quiet || summary.stoppedBy == .signal {
      try StandardStreams.printResult(json ? summary.json : summary.text)
    }
    try end(summary)
  }

  /// All that the command does, but for what it prints at its end.
  /// - Returns: nil where it only plans.
  func train(host: RunHost) throws -> RunSummary? {
    var checkpoint = try resume.map { try SafetensorsReader(path: RunFolder.checkpoint($0)) }
    let stored = try checkpoint.map { try Checkpoint.state(of: $0) }
    var plan = try plan(over: stored.map { try withFoundFiles($0.plan) })
    if newData, let stored { try beginData(&plan, after: stored.progress) }
    try plan.validate()
    try settleRegime(&plan, stored: stored?.plan)
    if let stored { try refuseChanges(from: stored.plan, to: plan) }
    let memory = try plan.settleMemory()
    let initial =
      stored == nil ? try plan.model.initialWeights.map { try InitialFile.open($0, for: plan) } : nil
    if dryRun {
      try FirstLook.run(plan, from: newData ? nil : stored?.position, host: host)
      try printForecast(memory, of: plan)
      return nil
    }
    try MemoryPlan.requireMemory(for: memory, "this run")
    Signals.answer(!quiet)
    Signals.enter(.opening)
    let folder = try openFolder(goingOnFrom: checkpoint?.path)
    do {
      if let resume, let file = checkpoint, access(file.path, F_OK) != 0 {
        // The folder has just given it its name back.
        checkpoint = try SafetensorsReader(path: RunFolder.checkpoint(resume))
      }
      let trainer = try Trainer(
        plan, resume: zip(stored, checkpoint), isNewData: newData, initial: initial, folder: folder,
        host: host, ledger: MemoryLedger(budget: plan.run.memoryBudget))
      trainer.optionsText = ConfigFile.text(plan)
      // Everything large is there: what is left must do for the many small things, a save among them.
      try AddressSpace.requireSlack()
      return try trainer.run()
    } catch {
      folder.removeIfUnused()
      let isStopped = error is RunStopped || (error as? StreamError)?.kind == .interrupted
      if isStopped, !quiet {
        StandardStreams.tell(
          "longzoo: stopped before its first tokens had come; nothing is trained or saved\n")
      }
      throw error
    }
  }

  /// Exit codes of runs that did not end by themselves, and what there is to say of that.
  private func end(_ summary: RunSummary) throws {
    let plan = summary.plan
    if let divergence = summary.divergence {
      let text = divergence.message(plan).commandText
      StandardStreams.tellFailure(text)
      throw ExitCode(ExitStatus.diverged)
    }
    if summary.stoppedBy != .signal, let signal = Signals.received {
      StandardStreams.tell(
        "longzoo: the last evaluation was given up; \(plan.run.savesWeights ? "the weights are saved, and longzoo eval measures them" : "no weights were to be saved")\n"
      )
      throw ExitCode(ExitStatus.signal(signal))
    }
    if summary.stoppedBy == .signal, let signal = Signals.received {
      // The text says it on standard output already.
      if json, plan.run.savesWeights {
        StandardStreams.tell("to go on: \(summary.resumeCommand)\n")
      }
      throw ExitCode(ExitStatus.signal(signal))
    }
  }

  private func zip(
    _ state: CheckpointState?, _ file: SafetensorsReader?
  ) -> (state: CheckpointState, file: SafetensorsReader)? {
    guard let state, let file else { return nil }
    return (state, file)
  }

  /// A run that goes on keeps its weights as it did.
  private func settleRegime(_ plan: inout RunPlan, stored: RunPlan?) throws {
    if let stored { return try plan.requireRegime(of: stored) }
    guard let (needed, available) = try plan.chooseRegime(), !quiet else { return }
    StandardStreams.tell(
      "the shared regime would need \(ByteSize.formatted(needed)) of \(ByteSize.formatted(available)): weights are kept "
        + "in place, and trained by plain sgd with a zeroth-order readout (--regime inplace)\n")
  }

  private func printForecast(_ memory: MemoryTable, of plan: RunPlan) throws {
    let (forecast, budget) = (try RunForecast(plan), plan.run.memoryBudget)
    let table = MemoryReport.json(memory, peakTotal: memory.total, budget: budget)
    try StandardStreams.printResult(
      json
        ? "\(table.dropLast()),\"plan\":\(forecast.json)}"
        : "What this run would hold:\n\(memory.formatted(budget: budget))\n\(forecast.text)")
  }

  private func refuseChanges(from old: RunPlan, to new: RunPlan) throws(RunFailure) {
    let settings = newData ? RunPlan.fixed.subtracting([.holdoutFraction, .skipTokens]) : RunPlan.fixed
    guard let difference = old.firstDifference(from: new, of: settings) else { return }
    throw .usage(
      "\(difference.setting) was \(difference.value) in the run that is resumed and cannot become \(difference.other); "
        + "leave it out, or start a new run (--init takes over the weights)")
  }

  /// Files that are not named again are those of the checkpoint.
  private func withFoundFiles(_ stored: RunPlan) throws(RunFailure) -> RunPlan {
    var plan = stored
    let files = StoredFiles(run: resume.map(Self.folder(ofRun:)) ?? ".")
    if paths.isEmpty, !stored.data.readsNamedPipe {
      var found: [String] = []
      for path in stored.data.paths {
        found.append(try files.find(path, role: "trained on", option: "DATA"))
      }
      plan.data.$paths.settle(found)
    }
    if heldOut.val == nil, let path = stored.data.heldOutPath {
      plan.data.$heldOutPath.settle(try files.find(path, role: "evaluated on", option: "--val PATH"))
    }
    return plan
  }

  /// Takes the run's folder. An earlier run there stays as it is, but for one that is gone on with or overwritten.
  /// - Throws: exit code 64 if there is another run in it.
  private func openFolder(goingOnFrom checkpoint: String?) throws(RunFailure) -> RunFolder {
    let path = try outputFolder()
    let goesOn = checkpoint.map { RunFolder.isSame(RunFolder.parent(of: $0), path) } ?? false
    if goesOn, overwrite {
      throw .usage(
        "--overwrite would remove the run in \(path) that --resume goes on with; leave one of them out, or give another --out-dir"
      )
    }
    if !goesOn, !overwrite, !RunLock.isHeld(RunPaths(folder: path).lock), RunFolder.holdsRun(path) {
      throw .usage(
        "\(path) holds a run already; go on with it by --resume \(ShellText.quoted(path)), remove it by --overwrite, "
          + "or give another --out-dir")
    }
    let folder = try RunFolder(path: path, isMade: limits.outDir == nil && resume == nil)
    // A new run removes it once its data has proved to be there.
    if !goesOn, checkpoint != nil { try folder.removeEarlierRun() }
    return folder
  }

  /// --out-dir; else the resumed run's folder; else a new one named by the time.
  private func outputFolder() throws(RunFailure) -> String {
    if let given = limits.outDir { return given }
    if let resume { return Self.folder(ofRun: resume) }
    let format = DateFormatter()
    format.locale = Locale(identifier: "en_US_POSIX")
    format.dateFormat = "yyyyMMdd-HHmmss"
    return try RunFolder.makeNew("runs/" + format.string(from: Date()))
  }

  /// The folder of a run that is named by it or by its checkpoint.
  private static func folder(ofRun path: String) -> String {
    var isFolder: ObjCBool = false
    let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
    return exists && isFolder.boolValue ? path : RunFolder.parent(of: path)
  }
}
