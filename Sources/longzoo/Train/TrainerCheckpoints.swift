import Model

/// What a run leaves on the disk, and how it goes back to that.
extension Trainer {
  func isTimeToSave() -> Bool {
    switch configuration.saveInterval {
    case .never: false
    case .updates(let interval): interval > 0 && progress.step % interval == 0
    case nil: TrainingClock.now() - lastSave >= 60
    }
  }

  func save() throws {
    try replayLog?.flush()
    let position = supply.position
    let state = CheckpointState(
      configuration: configuration, progress: progress, optimizerUpdates: model.updates,
      position: position.feed, tokensBehindPosition: position.tokens)
    try keeper.save(step: progress.step) {
      try Checkpoint.write(to: folder.checkpointPath, state, model, through: transfer)
      try SafetensorsWriter.write(
        to: folder.modelPath, isOfRun: true, metadata: WeightsFile.metadata(configuration),
        tensors: model.finalTensors, through: transfer)
    }
    lastSave = TrainingClock.now()
  }

  /// After the losses have said that the weights are bad: the last good ones, on disk and in memory.
  func returnToLastGood() throws -> Divergence {
    var divergence = Divergence(step: progress.step, finding: progress.watch.finding, rate: baseRate)
    let isKept = configuration.savesWeights ? try keeper.restore() : false
    let path = isKept ? folder.checkpointPath : origin
    guard let path else { return divergence }
    let file = try SafetensorsReader(path: path)
    let state = try Checkpoint.state(of: file)
    let seconds = progress.trainSeconds
    progress = state.progress
    progress.trainSeconds = seconds
    try takeState(state, file)
    divergence.good = (progress.step, path)
    return divergence
  }

  func takeState(_ state: CheckpointState, _ file: SafetensorsReader) throws {
    model.updates = state.optimizerUpdates
    if state.progress.step > 0 { model.estimator.restore(afterWindow: state.progress.step - 1) }
    try model.restore(file, through: transfer)
    model.start()
  }
}
