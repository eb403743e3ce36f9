/// What an estimator knows of its own estimate, a window at a time; nil where it was not measured.
public struct WindowMeters: Equatable, Sendable {
  /// Pairs, n.
  public var pairs: Int?
  /// Parameters that were searched, d: a mean over the pairs. Neither those with an exact gradient count, nor rows of the token
  /// table that a pair has not read since its direction began.
  public var searched: Double?
  /// ‖ĝ‖² of all parameters that are searched, or, for an exact gradient, of all.
  public var estimateSquare: Double?
  /// An estimate of ‖E ĝ‖² without bias: below 0 by chance where there is next to nothing to be seen.
  public var signalSquare: Double?
  /// rms(h₊ − h₋)/rms(h) over all pairs.
  public var divergence: Double?
  /// Pairs that were sent back to the clean state because their states had come too far apart.
  public var returnedPairs: Int?
  /// Pairs with an infinite or NaN loss.
  public var lostPairs: Int?
  /// Pairs whose loss difference was clipped; nil where nothing clips.
  public var clippedPairs: Int?

  /// Nothing measured.
  public init() {}
}
