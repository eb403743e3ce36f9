import Foundation
import LongzooMemory

/// How a program begins a run, and goes on with one.
extension Trainer {
  /// Opens a new run: its data, its model and its folder. `run()` trains.
  ///
  ///     var plan = RunPlan(files: ["corpus.zst"])
  ///     plan.model.hiddenSize = 128
  ///     plan.limits.epochs = 3
  ///     let summary = try Trainer(plan, in: "runs/first").run()
  ///
  /// - Parameters:
  ///   - plan: what nobody has set in it takes its default.
  ///   - folder: is made if it is not there; a run that it holds already is not overwritten.
  /// - Throws: `RunFailure` for settings that contradict each other, files and folders; what opening the data throws;
  ///   `MemoryError` if the memory budget is too small.
  public convenience init(_ plan: RunPlan, in folder: String, host: RunHost = RunHost()) throws {
    var plan = plan
    try plan.settle()
    try plan.refuseForeign()
    try plan.validate()
    _ = try plan.chooseRegime()
    let memory = try plan.settleMemory()
    let initial = try plan.model.initialWeights.map { try InitialFile.open($0, for: plan) }
    try MemoryPlan.requireMemory(for: memory, "this run")
    guard !RunFolder.holdsRun(folder) else {
      throw RunFailure.usage(
        "\(folder) holds a run already; resume that, remove it, or give another \(.folder)")
    }
    try self.init(
      plan, resume: nil, initial: initial, folder: RunFolder(path: folder), host: host,
      ledger: MemoryLedger(budget: plan.run.memoryBudget))
  }

  /// Opens a run to go on with, bit for bit as if it had never stopped.
  ///
  /// - Parameters:
  ///   - path: the run's folder, or a checkpoint.
  ///   - folder: where it goes on; nil: the run's own.
  ///   - change: what may differ from now on, such as a later end.
  /// - Throws: `RunFailure` for a folder without a checkpoint, a damaged one, and for a change that the states in the checkpoint
  ///   do not allow; what opening the data throws.
  public convenience init(
    resuming path: String, in folder: String? = nil, host: RunHost = RunHost(),
    change: (inout RunPlan) throws -> Void = { _ in }
  ) throws {
    let file = try SafetensorsReader(path: RunFolder.checkpoint(path))
    let stored = try Checkpoint.state(of: file)
    var plan = stored.plan
    try change(&plan)
    try plan.refuseForeign()
    try plan.validate()
    try plan.requireRegime(of: stored.plan)
    if let difference = stored.plan.firstDifference(from: plan, of: RunPlan.fixed) {
      throw RunFailure.usage(
        "\(difference.setting) was \(difference.value) in the run that is resumed and cannot become \(difference.other)"
      )
    }
    try MemoryPlan.requireMemory(for: plan.settleMemory(), "this run")
    try self.init(
      plan, resume: (stored, file), folder: RunFolder(path: folder ?? RunFolder.parent(of: file.path)),
      host: host, ledger: MemoryLedger(budget: plan.run.memoryBudget))
  }
}

/// What an observer may want to know of a run.
extension Trainer {
  /// Updates in all, those before a resume included.
  public var steps: Int { progress.step }
  /// Bits a token over about the last windows; nil before the first.
  public var trainingBits: Double? { progress.smoothedLoss.map { $0 / log(2) } }
  /// Seconds of training in all.
  public var seconds: Double { progress.trainSeconds }
}

extension RunPlan {
  /// Files that are one stream, in this order, of bytes or of the token type that is set afterwards.
  public init(files: [String]) {
    self.init()
    data.paths = files.map(AbsolutePath.of)
  }
}
