import LongzooTraining

extension RunRecord.State {
  var text: String {
    switch self {
    case .finished("signal"): return "stopped by a signal"
    case .finished(let reason): return "finished (\(reason))"
    case .running: return "running"
    case .unfinished: return "not finished"
    }
  }
}

extension RunRecord {
  var seed: String? { configuration["seed"].map(RunOptionText.value) }
}
