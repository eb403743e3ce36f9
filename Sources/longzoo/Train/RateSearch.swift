/// Looks for a learning rate by trying some: from the same weights, on the same tokens, with the same directions.
///
/// Every candidate trains over the same block of windows, and is judged by the loss of the second half of them, each window before its own
/// update: what the model makes of tokens that it has not learnt from. First a coarse look over a wide range, then
/// a fine one around the best. All that the trials touch is put back; then training begins at the block's start.
struct RateSearch {
  /// Windows of a block; fewer where they are long.
  static let windows = 192
  static let fewestWindows = 16
  /// Bytes that a block of tokens may take.
  static let mostBytes = 32 << 20

  struct Trial: Equatable {
    var rate: Double
    /// Nats a token; infinite where an update had to be refused.
    var loss: Double
    var windows: Int
    /// The loss of the block's first window, before any update.
    var start: Double
  }

  /// In the first search the middle rate stays if it has brought at least this part of the best one's progress. A rate that is too high
  /// looks good for the first hundreds of updates and ends badly: what is looked for is a scale that is wrong, and not a small gain.
  static let enough = 0.5
  /// Later the loss stands still: a rate is better if its loss is lower by this part.
  static let margin = 0.002

  /// Windows that a block has room for; nil where they are too long for any.
  static func windows(bytesPerWindow: Int) -> Int? {
    let windows = min(Self.windows, mostBytes / max(1, bytesPerWindow))
    return windows >= fewestWindows ? windows : nil
  }

  private static let coarse = [1.0 / 16, 0.25, 1, 4, 16]
  private static let fine = [0.5, 1, 2]
  private static let later = [0.25, 0.5, 1, 2]

  /// Trials of a search.
  static func trials(isFirst: Bool) -> Int { isFirst ? coarse.count + fine.count : later.count }

  /// Tries rates around `base`.
  /// - Parameters:
  ///   - isFirst: whether nothing is known yet of the range.
  ///   - trial: the loss with a rate over so many windows; nil if it had to be given up.
  /// - Returns: the best rate and what was tried; nil if a trial was given up.
  static func search(
    around base: Double, windows: Int, isFirst: Bool,
    trial: (_ rate: Double, _ windows: Int) throws -> (start: Double, loss: Double)?
  ) throws -> (rate: Double, trials: [Trial])? {
    var trials: [Trial] = []
    func best(_ factors: [Double], around base: Double, _ windows: Int) throws -> Double? {
      var found: [Trial] = []
      for factor in factors {
        guard let (start, loss) = try trial(base * factor, windows) else { return nil }
        found.append(
          Trial(
            rate: base * factor, loss: loss.isFinite ? loss : .infinity, windows: windows, start: start))
      }
      trials += found
      return choose(found, middle: base, isFirst: isFirst)
    }
    var middle = base
    if isFirst {
      guard let coarse = try best(coarse, around: base, windows) else { return nil }
      middle = coarse
    }
    guard let rate = try best(isFirst ? fine : later, around: middle, windows) else { return nil }
    return (rate, trials)
  }

  /// The best one, or the middle one where that is good enough.
  static func choose(_ trials: [Trial], middle: Double, isFirst: Bool) -> Double {
    let best = trials.min { $0.loss < $1.loss }!
    let center = trials.first { $0.rate == middle }!
    let isEnough =
      isFirst
      ? center.start - center.loss >= enough * (best.start - best.loss)
      : center.loss * (1 - margin) <= best.loss
    return isEnough || best.loss == .infinity ? middle : best.rate
  }
}
