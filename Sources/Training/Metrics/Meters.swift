import LongzooEstimator
import LongzooMemory
import LongzooModel

/// What a run keeps of its windows' meters: running means over about the last fifty windows, and over the last five hundred
/// that were measured of the estimate's squares, whose signal is a small difference of large numbers.
///
/// They are functions of the updates alone, and go into the checkpoint: a resumed run shows what an uninterrupted one would.
package struct RunMeters: Codable, Equatable {
  /// A running mean: `weight` is that of the newest value once there are 1/weight of them; before that it is a plain mean.
  package struct Mean: Codable, Equatable {
    package private(set) var count = 0
    private var mean = 0.0
    private var weight = MeterReadings.smoothing
    package var value: Double? { count > 0 ? mean : nil }
    /// The part of a value's variance that is left in the mean.
    package var variancePart: Double { max(weight / (2 - weight), 1 / Double(max(1, count))) }

    package init(weight: Double = MeterReadings.smoothing) { self.weight = weight }

    /// Squares of squares may be larger than floats.
    fileprivate func check(_ name: String, _ fields: DecodedFields) throws(RunFailure) {
      try fields.count(count, name + ".count")
      try fields.require(mean.isFinite, "\(name).mean is \(mean)")
      try fields.require(weight > 0 && weight <= 1, "\(name).weight is \(weight), not in (0, 1]")
    }

    package mutating func add(_ value: Double?) {
      guard let value, value.isFinite else { return }
      count += 1
      mean += max(weight, 1 / Double(count)) * (value - mean)
    }
  }

  /// Windows of which one has its estimate measured: all of them would cost more than a hundredth of a small model's time.
  package static let measuredEvery = 4
  private static let signalWeight = 0.002
  private var estimateSquare = Mean(weight: signalWeight)
  private var signalSquare = Mean(weight: signalWeight)
  private var signalFourth = Mean(weight: signalWeight)
  private var searched = Mean()
  private var divergence = Mean()
  private var returnedShare = Mean()
  private var lostShare = Mean()
  private var clippedShare = Mean()
  private var pairs: Int?
  package private(set) var returnedPairs: Int?
  /// The rate of the last update that was made; nil if the last one was refused.
  package private(set) var lastRate: Double?

  /// After every window.
  /// - Parameter rate: nil where its update was not made.
  package mutating func add(_ m: WindowMeters, rate: Double?) {
    lastRate = rate
    pairs = m.pairs ?? pairs
    estimateSquare.add(m.estimateSquare)
    signalSquare.add(m.signalSquare)
    signalFourth.add(m.signalSquare.map { $0 * $0 })
    searched.add(m.searched)
    divergence.add(m.divergence)
    if let returned = m.returnedPairs { returnedPairs = (returnedPairs ?? 0) + returned }
    func share(_ count: Int?) -> Double? {
      guard let count, let pairs, pairs > 0 else { return nil }
      return Double(count) / Double(pairs)
    }
    returnedShare.add(share(m.returnedPairs))
    lostShare.add(share(m.lostPairs))
    clippedShare.add(share(m.clippedPairs))
  }

  /// - Parameters:
  ///   - directions: along which the estimates are made.
  ///   - updateNorm: ‖Δθ‖ of the last update.
  package func readings(_ directions: DirectionKind, updateNorm: Double?) -> MeterReadings {
    var r = MeterReadings()
    if let square = estimateSquare.value, let signal = signalSquare.value, square > max(0, signal) {
      r.signalToNoise = signal / (square - signal)
      if let fourth = signalFourth.value, signalFourth.count > 1 {
        let variance = max(0, fourth - signal * signal) * signalFourth.variancePart
        r.signalToNoiseError = variance.squareRoot() / (square - signal)
      }
      r.cosine = min(1, max(0, signal / square)).squareRoot()
    }
    if let pairs, let d = searched.value {
      r.predictedCosine = directions.predictedCosine(pairs: Double(pairs), parameters: d)
    }
    r.divergence = divergence.value
    r.returnedPairs = returnedPairs
    r.lostShare = lostShare.value
    r.clippedShare = clippedShare.value
    r.estimateNorm = estimateSquare.value?.squareRoot()
    r.updateNorm = updateNorm
    return r
  }

  /// Refuses what no run can have counted.
  package func check(_ fields: DecodedFields) throws(RunFailure) {
    for (mean, name) in [
      (estimateSquare, "estimateSquare"), (signalSquare, "signalSquare"), (signalFourth, "signalFourth"),
      (searched, "searched"), (divergence, "divergence"), (returnedShare, "returnedShare"),
      (lostShare, "lostShare"), (clippedShare, "clippedShare"),
    ] { try mean.check("progress.meters." + name, fields) }
    try fields.count(pairs, "progress.meters.pairs", in: 0...(1 << 20))
    try fields.count(returnedPairs, "progress.meters.returnedPairs")
    try fields.finite(lastRate, "progress.meters.lastRate", atLeast: 0)
  }
}

/// What the meters say at one moment, as `metrics.jsonl` and `--json` have it.
package struct MeterReadings: Equatable {
  /// Weight of the newest window in a running mean.
  static let smoothing = 1 / Double(ExecutionPlan.defaultLossWindows)

  /// Signal over noise of the update, both as squared lengths. Below 0 by chance where there is next to no signal.
  package var signalToNoise: Double?
  /// Standard error of that.
  package var signalToNoiseError: Double?
  /// Cosine of the estimate with its own expectation.
  package var cosine: Double?
  /// √(n/(n + d − 1)): where the loss is linear and all pairs read the same tokens.
  package var predictedCosine: Double?
  /// rms(h₊ − h₋)/rms(h) behind a window.
  package var divergence: Double?
  /// Pairs sent back to the clean state since the run began.
  package var returnedPairs: Int?
  /// The part of the losses that was infinite or NaN, and the part that was clipped.
  package var lostShare: Double?
  package var clippedShare: Double?
  /// Root of the mean ‖ĝ‖² of what is searched.
  package var estimateNorm: Double?
  /// ‖Δθ‖ of the last update.
  package var updateNorm: Double?

  /// Keys of `metrics.jsonl`; those of the `meters` object of `--json` lack the prefix.
  package var fields: [(key: String, value: String)] {
    [
      ("snr", JSONText.number(signalToNoise)), ("snr_error", JSONText.number(signalToNoiseError)),
      ("cosine", JSONText.number(cosine)),
      ("predicted_cosine", JSONText.number(predictedCosine)),
      ("divergence", JSONText.number(divergence)), ("returned_pairs", JSONText.number(returnedPairs)),
      ("lost_share", JSONText.number(lostShare)), ("clipped_share", JSONText.number(clippedShare)),
      ("estimate_norm", JSONText.number(estimateNorm)), ("update_norm", JSONText.number(updateNorm)),
    ]
  }

  /// Members of a line of `metrics.jsonl`.
  package var line: String { fields.map { "\"meter/\($0.key)\":\($0.value)" }.joined(separator: ",") }
  package var json: String { "{" + fields.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}" }
}
