import LongzooModel
import LongzooStream

/// What a run leaves on the disk, and how it goes back to that.
extension Trainer {
  package func isTimeToSave() -> Bool {
    switch plan.run.saveInterval {
    case .never: false
    case .updates(let interval): interval > 0 && progress.step % interval == 0
    case nil: host.clock.now - lastSave >= 60 || isWindowWorthSaving
    }
  }

  /// A long window is saved at once: the next one may have to be given up.
  private var isWindowWorthSaving: Bool { windowSeconds > 2 && saveSeconds < windowSeconds / 10 }

  package func save() throws {
    let begin = host.clock.now
    try replayLog?.flush()
    let position = supply.position
    let state = CheckpointState(
      plan: plan, progress: progress, optimizerUpdates: model.updates,
      position: position.feed, tokensBehindPosition: position.tokens)
    try keeper.save(step: progress.step) {
      try Checkpoint.write(to: folder.checkpointPath, state, model, through: transfer)
      if !keeper.keepsModel { try saveModel() }
    }
    lastSave = host.clock.now
    saveSeconds = lastSave - begin
  }

  /// The weights that the run hands out, as they are now.
  package func saveModel() throws {
    try SafetensorsWriter.write(
      to: folder.modelPath, isOfRun: true,
      metadata: WeightsFile.metadata(plan, step: progress.step, heldOut: evaluation),
      tensors: model.finalTensors, through: transfer)
  }

  /// After the last window. Within one that was given up there is no state to go on from, but there are weights.
  package func saveAtEnd() throws {
    guard plan.run.savesWeights else { return }
    if !isWithinWindow {
      try save()
      keeper.finish(isInDoubt: progress.watch.isInDoubt)
    } else if keeper.savedStep.map({ $0 < progress.step }) ?? false, !keeper.keepsModel {
      try saveModel()
    }
  }

  /// Held-out data that cannot be read is no fault of the weights, which are not lost to it.
  package func savingOnFailure<T>(_ body: () throws -> T) throws -> T {
    do {
      return try body()
    } catch let error as StreamError {
      let isSaved = keeper.savedStep == progress.step
      if plan.run.savesWeights, !isSaved, !isWithinWindow { try save() }
      throw error
    }
  }

  /// After the losses have said that the weights are bad: the last good ones, on disk and in memory.
  package func returnToLastGood() throws -> Divergence {
    var divergence = Divergence(step: progress.step, finding: progress.watch.finding, rate: baseRate)
    let isKept = plan.run.savesWeights ? try keeper.restore() : false
    let path = isKept ? folder.checkpointPath : origin
    guard let path else { return divergence }
    let file = try SafetensorsReader(path: path)
    let state = try Checkpoint.state(of: file)
    let seconds = progress.trainSeconds
    progress = state.progress
    progress.trainSeconds = seconds
    try takeState(state, file)
    evaluation = nil
    try findBestWeights(of: file)
    divergence.good = (progress.step, path)
    return divergence
  }

  /// A resume with a shorter context than the tokens since the last reset: all states begin anew.
  package func beginShorterContext() {
    guard let context = plan.tokensToReset, progress.tokensInContext >= context else { return }
    model.estimator.beginContext()
    progress.tokensInContext = 0
  }

  package func takeState(_ state: CheckpointState, _ file: SafetensorsReader) throws {
    model.updates = state.optimizerUpdates
    if state.progress.step > 0 { model.estimator.restore(afterWindow: state.progress.step - 1) }
    try model.restore(file, through: transfer)
    model.start()
  }
}
