import LongzooEstimator
import LongzooMemory
import LongzooTraining

/// What would serve the data of a finished run better, in one sentence for people that names what it costs in credit and memory.
///
/// It rests on what was measured (docs/defaults.md): exact gradients learn faster than pairs wherever they reach, and truncated
/// ones do not reach beyond their window.
struct Advice {
  let configuration: RunConfiguration
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
    guard !isSolved, configuration.regime == .shared else { return nil }
    switch configuration.estimator {
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

  private var truncation: Int { RunConfiguration.defaultTruncation }

  /// Marked data whose credit was made long on purpose is left alone: what it asks for may lie beyond any short window.
  private var towardsExactGradients: String? {
    let credit = configuration.creditReach
    if rightAnswers != nil, credit > truncation { return nil }
    return "--estimator tbptt learns faster where \(truncation) tokens of credit suffice "
      + "(here: \(ByteSize.grouped(credit))), \(cost(of: .tbptt))"
  }

  private var beyondTheWindow: String? {
    let credit = configuration.creditReach
    guard configuration.tokensToReset.map({ $0 > credit }) ?? true else { return nil }
    return
      "credit ends after \(ByteSize.grouped(credit)) tokens; where more is asked for, --estimator hybrid reaches "
      + "\(ByteSize.grouped(RunConfiguration.defaultHybridLifetime)) times as far, \(cost(of: .hybrid)), and "
      + "--estimator cd-rge --window context over a whole context"
  }

  private var awayFromHybrid: String {
    rightAnswers == nil
      ? "--estimator tbptt is a little faster where \(truncation) tokens of credit suffice, \(cost(of: .tbptt))"
      : "--estimator cd-rge with a --lifetime that spans the gap may answer more, by more updates, \(cost(of: .cdRGE))"
  }

  private var towardsMoreUpdates: String? {
    let window = configuration.tokensOfWindow
    guard updates < Self.manyUpdates, window >= 2 * truncation else { return nil }
    return
      "--estimator tbptt makes \(ByteSize.grouped(window / truncation)) updates in the time of one where "
      + "\(truncation) tokens of credit suffice, \(cost(of: .tbptt))"
  }

  private func cost(of estimator: EstimatorKind) -> String {
    let bytes = Self.activations(of: configuration, by: estimator)
    return "with activations of \(ByteSize.formatted(bytes)) (here: \(ByteSize.formatted(activations)))"
  }

  /// Bytes of activations of the same model by another estimator with its defaults.
  static func activations(of c: RunConfiguration, by estimator: EstimatorKind) -> Int {
    var other = c
    other.estimator = estimator
    other.checkpointing = .none
    (other.lifetime, other.readout, other.streams) = (
      RunConfiguration.defaultLifetime, .exact, c.isPipe ? 1 : RunConfiguration.defaultTruncation
    )
    other.window = .tokens(RunConfiguration.defaultTruncation)
    switch estimator {
    case .hybrid:
      (other.lifetime, other.pairs) = (
        RunConfiguration.defaultHybridLifetime, RunConfiguration.defaultHybridPairs
      )
      return Hybrid.byteCount(for: other.shape, other.hybrid, threads: other.threads)[.activations]
    case .tbptt, .bptt:
      return BPTT.byteCount(for: other.shape, other.bptt, threads: other.threads)[.activations]
    case .cdRGE, .fdRGE, .jvp, .nres, .pes, .node:
      other.estimator = .cdRGE
      (other.pairs, other.window) = (RunConfiguration.defaultPairs, .tokens(RunConfiguration.defaultWindow))
      other.streams = c.isPipe ? 1 : other.pairs
      return CDRGE.byteCount(for: other.shape, other.cdrge, threads: other.threads)[.activations]
    }
  }
}

extension RunConfiguration {
  /// Tokens over which a loss is credited to what came before it.
  var creditReach: Int {
    let reach: Int
    switch estimator {
    case .cdRGE, .fdRGE, .jvp, .hybrid:
      let (tokens, overflow) = tokensOfWindow.multipliedReportingOverflow(by: lifetime)
      reach = overflow ? .max : tokens
    case .nres, .pes: reach = context
    case .node, .bptt, .tbptt: reach = tokensOfWindow
    }
    return tokensToReset.map { min($0, reach) } ?? reach
  }
}
