import LongzooTraining

extension RunPlan {
  /// The options of train that choose what was chosen here; the data, which is no option, is left out.
  var givenOptions: [String] {
    Self.entries.filter { $0.isGiven(self) && $0.setting != .data }.flatMap { entry in
      guard let setting = entry.setting, let text = entry.text(self) else { return [String]() }
      return [setting.option, text]
    }
  }

  /// The data, if somebody has named it.
  var givenPaths: [String] { data.$paths.isGiven ? data.paths : [] }
}
