import LongzooMemory

/// What a run can look for by itself: `--lr auto`, `--eps auto`.
public enum SearchedSetting: Sendable {
  case rate, epsilon

  package var wording: Wording { self == .rate ? "\(.learningRate) auto" : "\(.epsilon) auto" }
  /// Keys of a trial's line in metrics.jsonl, and of the line of the choice.
  package var keys: (trial: String, chosen: String) {
    self == .rate ? ("search/rate", "search/chosen") : ("search/eps", "search/chosen_eps")
  }

  /// Factors that are tried around the best so far, round by round. In the first search nothing is known yet of the range.
  package func rounds(isFirst: Bool) -> [[Double]] {
    switch (self, isFirst) {
    case (.rate, true): [[1.0 / 16, 0.25, 1, 4, 16], [0.5, 1, 2]]
    case (.rate, false): [[0.25, 0.5, 1, 2]]
    case (.epsilon, true): [[0.25, 0.5, 1, 2, 4]]
    case (.epsilon, false): [[0.5, 1, 2]]
    }
  }

  /// The last windows of a trial, in which nothing is learnt any more and models are moved by next to nothing. Losses under ±ε rise with ε, and
  /// say nothing of which ε has learnt the most.
  package func stillWindows(of windows: Int) -> Int { self == .rate ? 0 : windows / 3 }
  package static let stillEpsilon = 0x1p-6
}

/// What a trial trains with.
public struct TrialValues: Equatable, Sendable {
  public var rate: Double
  public var epsilon: Double

  package subscript(setting: SearchedSetting) -> Double {
    get { setting == .rate ? rate : epsilon }
    set { if setting == .rate { rate = newValue } else { epsilon = newValue } }
  }
}

/// Looks for a learning rate or an ε by trying some: from the same weights, on the same tokens, with the same directions.
///
/// Every candidate trains over the same block of windows. A rate is judged by the loss of the second half of them, each window before its own
/// update: what the model makes of tokens that it has not learnt from; an ε by that of the block's end, where nothing is learnt. Of a rate there is first a
/// coarse look over a wide range, then a fine one around the best. All that the trials touch is put back; then training begins at the block's start.
public struct SettingSearch {
  /// Windows of a block; fewer where they are long.
  package static let windows = 192
  package static let fewestWindows = 16
  /// Bytes that a block of tokens may take.
  package static let mostBytes = 32 << 20

  public struct Trial: Equatable, Sendable {
    public var setting = SearchedSetting.rate
    public var value: Double
    /// Nats a token; infinite where an update had to be refused.
    public var loss: Double
    public var windows: Int
    /// The loss of the block's first window, before any update.
    public var start: Double
  }

  /// In the first search the middle value stays if it has brought at least this part of the best one's progress. A rate that is too high
  /// looks good for the first hundreds of updates and ends badly: what is looked for is a scale that is wrong, and not a small gain.
  package static let enough = 0.5
  /// Later the loss stands still: a value is better if its loss is lower by this part.
  package static let margin = 0.002

  /// Windows that a block has room for; nil where they are too long for any.
  package static func windows(bytesPerWindow: Int) -> Int? {
    let windows = min(Self.windows, mostBytes / max(1, bytesPerWindow))
    return windows >= fewestWindows ? windows : nil
  }

  /// Trials of a search.
  package static func trials(_ settings: [SearchedSetting], isFirst: Bool) -> Int {
    settings.flatMap { $0.rounds(isFirst: isFirst) }.reduce(0) { $0 + $1.count }
  }

  /// Tries values around `base`.
  /// - Parameters:
  ///   - isFirst: whether nothing is known yet of the range.
  ///   - trial: the loss with a value; nil if it had to be given up.
  /// - Returns: the best value and what was tried; nil if a trial was given up.
  package static func search(
    _ setting: SearchedSetting, around base: Double, windows: Int, isFirst: Bool,
    trial: (_ value: Double) throws -> (start: Double, loss: Double)?
  ) throws -> (value: Double, trials: [Trial])? {
    var trials: [Trial] = []
    var middle = base
    for round in setting.rounds(isFirst: isFirst) {
      var found: [Trial] = []
      for factor in round {
        guard let (start, loss) = try trial(middle * factor) else { return nil }
        found.append(
          Trial(
            setting: setting, value: middle * factor, loss: loss.isFinite ? loss : .infinity,
            windows: windows,
            start: start))
      }
      trials += found
      middle = choose(found, middle: middle, isFirst: isFirst)
    }
    return (middle, trials)
  }

  /// The best one, or the middle one where that is good enough.
  package static func choose(_ trials: [Trial], middle: Double, isFirst: Bool) -> Double {
    let best = trials.min { $0.loss < $1.loss }!
    let center = trials.first { $0.value == middle }!
    let isEnough =
      isFirst
      ? center.start - center.loss >= enough * (best.start - best.loss)
      : center.loss * (1 - margin) <= best.loss
    return isEnough || best.loss == .infinity ? middle : best.value
  }
}
