/// What a run's evaluations have found so far; a part of its progress.
package struct HeldOutRecord: Codable, Equatable {
  /// The weights of one step, measured.
  package struct Point: Codable, Equatable {
    package var step: Int
    /// Mean of the predicted tokens, in nats.
    package var lossNats: Double
    /// Predictions that it is the mean of.
    package var targets: Int
  }

  package private(set) var best: Point
  package private(set) var last: Point
  /// Evaluations, and how many of them came after the best.
  package private(set) var count = 1
  package private(set) var worse = 0

  /// - Parameter point: the first one.
  package init(_ point: Point) { (best, last) = (point, point) }

  /// - Returns: whether no other was better.
  package mutating func add(_ point: Point) -> Bool {
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
