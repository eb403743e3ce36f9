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
    switch plan.estimator.family {
    case .cdRGE, .fdRGE, .jvp, .nres, .pes, .node: return towardsExactGradients
    case .tbptt: return beyondTheWindow
    case .hybrid: return awayFromHybrid
    case .bptt: return towardsMoreUpdates
    }
  }

  private var isSolved: Bool {
    if let rightAnswers { return rightAnswers >= Self.solvedShare }
    return heldOutBits.map { $0 <= Self.solvedBits } ?? false
  }

  private var truncation: Int { EstimatorPlan.defaultTruncation }

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
      + "\(ByteSize.grouped(EstimatorPlan.defaultHybridLifetime)) times as far, \(cost(of: .hybrid)), and "
      + "--estimator cd-rge --window context over a whole context"
  }

  private var awayFromHybrid: String {
    rightAnswers == nil
      ? "--estimator tbptt is a little faster where \(truncation) tokens of credit suffice, \(cost(of: .tbptt))"
      : "--estimator cd-rge with a --lifetime that spans the gap may answer more, by more updates, \(cost(of: .cdRGE))"
  }

  private var towardsMoreUpdates: String? {
    let window = plan.tokensOfWindow
    guard updates < Self.manyUpdates, window >= 2 * truncation else { return nil }
    return
      "--estimator tbptt makes \(ByteSize.grouped(window / truncation)) updates in the time of one where "
      + "\(truncation) tokens of credit suffice, \(cost(of: .tbptt))"
  }

  private func cost(of estimator: EstimatorKind) -> String {
    let bytes = Self.activations(of: plan, by: estimator)
    return "with activations of \(ByteSize.formatted(bytes)) (here: \(ByteSize.formatted(activations)))"
  }

  /// Bytes of activations of the same model by another estimator with its defaults.
  static func activations(of c: RunPlan, by estimator: EstimatorKind) -> Int {
    var other = c
    other.estimator.family = estimator
    other.estimator.checkpointing = .none
    (other.estimator.lifetime, other.estimator.readout, other.streaming.streams) = (
      EstimatorPlan.defaultLifetime, .exact, c.data.isPipe ? 1 : EstimatorPlan.defaultTruncation
    )
    other.streaming.window = .tokens(EstimatorPlan.defaultTruncation)
    switch estimator {
    case .hybrid:
      (other.estimator.lifetime, other.estimator.pairs) = (
        EstimatorPlan.defaultHybridLifetime, EstimatorPlan.defaultHybridPairs
      )
      return Hybrid.byteCount(for: other.shape, other.hybrid, threads: other.run.threads)[.activations]
    case .tbptt, .bptt:
      return BPTT.byteCount(for: other.shape, other.bptt, threads: other.run.threads)[.activations]
    case .cdRGE, .fdRGE, .jvp, .nres, .pes, .node:
      other.estimator.family = .cdRGE
      (other.estimator.pairs, other.streaming.window) = (
        EstimatorPlan.defaultPairs, .tokens(StreamingPlan.defaultWindow)
      )
      other.streaming.streams = c.data.isPipe ? 1 : other.estimator.pairs
      return CDRGE.byteCount(for: other.shape, other.cdrge, threads: other.run.threads)[.activations]
    }
  }
}
