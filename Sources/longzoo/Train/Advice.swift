import LongzooEstimator
import LongzooMemory
import LongzooTraining

/// What would serve the data of a finished run better, in one sentence for people that names what it costs in credit and memory.
///
/// It rests on what was measured (docs/defaults.md): exact gradients learn faster than pairs wherever they reach, and truncated
/// ones do not reach beyond their window.
struct Advice {
  let plan: RunPlan
  let updates: Int
  /// Bytes of activations that the run held.
  let activations: Int
  /// Held-out loss in bits; nil where nothing was held out.
  let heldOutBits: Double?
  /// Share of the answers that are entirely right; nil where the data has no marked tokens.
  let rightAnswers: Double?

  /// Answers so often right, or a loss so low, that nothing is to be gained.
  private static let solvedShare = 0.99
  private static let solvedBits = 0.05
  /// After so many updates a run has had enough of them.
  private static let manyUpdates = 1000

  /// nil where nothing is known to be better.
  var sentence: String? {
    guard !isSolved, plan.run.regime == .shared else { return nil }
    let family = plan.estimator.family
    guard family.isExact else { return towardsExactGradients }
    if family.hasPairs { return awayFromHybrid }
    return family.defaults.window == .context ? towardsMoreUpdates : beyondTheWindow
  }

  private var isSolved: Bool {
    if let rightAnswers { return rightAnswers >= Self.solvedShare }
    return heldOutBits.map { $0 <= Self.solvedBits } ?? false
  }

  private var truncation: Int { EstimatorFamily.truncation }

  /// Marked data whose credit was made long on purpose is left alone: what it asks for may lie beyond any short window.
  private var towardsExactGradients: String? {
    let credit = plan.creditReach
    if rightAnswers != nil, credit > truncation { return nil }
    return "--estimator tbptt learns faster where \(truncation) tokens of credit suffice "
      + "(here: \(ByteSize.grouped(credit))), \(cost(of: .tbptt))"
  }

  private var beyondTheWindow: String? {
    let credit = plan.creditReach
    guard plan.tokensToReset.map({ $0 > credit }) ?? true else { return nil }
    return
      "credit ends after \(ByteSize.grouped(credit)) tokens; where more is asked for, --estimator hybrid reaches "
      + "\(ByteSize.grouped(EstimatorFamily.hybrid.defaults.lifetime)) times as far, \(cost(of: .hybrid)), and "
      + "--estimator cd-rge --window context over a whole context"
  }

  private var awayFromHybrid: String {
    rightAnswers == nil
      ? "--estimator tbptt is a little faster where \(truncation) tokens of credit suffice, \(cost(of: .tbptt))"
      : "--estimator cd-rge with a --lifetime that spans the gap may answer more, by more updates, \(cost(of: .cdRGE))"
  }

  private var towardsMoreUpdates: String? {
    let window = plan.longestWindow
    guard updates < Self.manyUpdates, window >= 2 * truncation else { return nil }
    return
      "--estimator tbptt makes \(ByteSize.grouped(window / truncation)) updates in the time of one where "
      + "\(truncation) tokens of credit suffice, \(cost(of: .tbptt))"
  }

  private func cost(of estimator: EstimatorFamily) -> String {
    let bytes = Self.activations(of: plan, by: estimator)
    return "with activations of \(ByteSize.formatted(bytes)) (here: \(ByteSize.formatted(activations)))"
  }

  /// Bytes of activations of the same model by another estimator with its defaults.
  static func activations(of c: RunPlan, by family: EstimatorFamily) -> Int {
    let defaults = family.defaults
    var other = c
    other.estimator.family = family
    (other.estimator.checkpointing, other.estimator.readout) = (.none, .exact)
    (other.estimator.lifetime, other.estimator.pairs) = (defaults.lifetime, defaults.pairs)
    other.streaming.window = defaults.window
    other.streaming.streams = c.data.isPipe ? 1 : family.defaultStreams(pairs: defaults.pairs)
    return other.estimatorBytes[.activations]
  }
}
