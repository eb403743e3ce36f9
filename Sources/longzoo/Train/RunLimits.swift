/// When a run ends: at the first of its limits, or without any when every stream has run through one context; of hybrid,
/// whose contexts are short, through a million tokens.
struct RunLimits {
  private let c: RunConfiguration

  init(_ configuration: RunConfiguration) { c = configuration }

  /// Whether anything says when the run will be over: only then can a rate fall to it.
  var hasEnd: Bool { hasLimit || contextToFinish != nil }

  private var hasLimit: Bool { c.maxSteps != nil || c.maxTokens != nil || c.maxSeconds != nil }
  private var contextToFinish: Int? {
    guard !hasLimit, !c.isPipe, c.context > 0 else { return nil }
    // A few contexts of the short ones are no training.
    let isShort = c.estimator == .hybrid || c.estimator == .tbptt
    return isShort ? max(c.context, RunConfiguration.defaultContext) : c.context
  }

  func reached(_ p: RunProgress, tokens: Int) -> Trainer.StopReason? {
    if let most = c.maxSteps, p.step >= most { return .maxSteps }
    if let target = c.stopBelow, let loss = p.smoothedLoss, loss < target { return .stopBelow }
    if let most = c.maxTokens, tokens >= most { return .maxTokens }
    if let most = c.maxSeconds, p.trainSeconds >= most { return .maxSeconds }
    if let context = contextToFinish, p.tokensPerStream >= context { return .endOfData }
    return nil
  }

  /// What the limits leave of the run; nil where they say nothing. Windows are of their full length.
  func left(_ p: RunProgress, tokens: Int) -> (seconds: Double?, windows: Int?) {
    let window = if case .tokens(let count) = c.window { count } else { max(1, c.context) }
    let windows = [
      c.maxSteps.map { $0 - p.step }, c.maxTokens.map { ($0 - tokens) / max(1, c.streams) / window },
      contextToFinish.map { ($0 - p.tokensPerStream) / window },
    ].compactMap { $0 }.min()
    return (c.maxSeconds.map { $0 - p.trainSeconds }, windows)
  }

  /// The part of the run that is done, 0 … 1, by the nearest limit; 0 where there is none.
  func progress(_ p: RunProgress, tokens: Int) -> Double {
    [
      c.maxSteps.map { Double(p.step) / Double($0) }, c.maxTokens.map { Double(tokens) / Double($0) },
      c.maxSeconds.map { p.trainSeconds / $0 },
      contextToFinish.map { Double(p.tokensPerStream) / Double($0) },
    ].compactMap { $0 }.max().map { min($0, 1) } ?? 0
  }

  /// The stream tokens that the run will have read, where the limits say so.
  var totalTokens: Int? {
    let window: Int? = if case .tokens(let count) = c.window { count } else { nil }
    let candidates = [
      c.maxTokens, c.maxSteps.flatMap { steps in window.map { product($0, c.streams, steps) } },
      contextToFinish.map { product($0, c.streams) },
    ].compactMap { $0 }
    return c.maxSeconds == nil ? candidates.min() : nil
  }

  /// At most Int.max: whoever says a very large number means "for ever".
  private func product(_ factors: Int...) -> Int {
    factors.reduce(1) { result, factor in
      let (next, overflow) = result.multipliedReportingOverflow(by: factor)
      return overflow ? .max : next
    }
  }
}
