/// What a run's evaluations have found so far; a part of its progress.
struct HeldOutRecord: Codable, Equatable {
  /// The weights of one step, measured.
  struct Point: Codable, Equatable {
    var step: Int
    /// Mean of the predicted tokens, in nats.
    var lossNats: Double
    /// Predictions that it is the mean of.
    var targets: Int
  }

  private(set) var best: Point
  private(set) var last: Point
  /// Evaluations, and how many of them came after the best.
  private(set) var count = 1
  private(set) var worse = 0

  /// - Parameter point: the first one.
  init(_ point: Point) { (best, last) = (point, point) }

  /// - Returns: whether no other was better.
  mutating func add(_ point: Point) -> Bool {
    last = point
    count += 1
    guard point.lossNats < best.lossNats else {
      worse += 1
      return false
    }
    (best, worse) = (point, 0)
    return true
  }
}
