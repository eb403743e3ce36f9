/// When a run ends: at the first of its limits. Without any it ends when every stream has run through one context, or the
/// training tokens were read `defaultPasses` times, whichever comes first; a pipe ends by itself.
package struct RunLimits {
  /// So many that a short text is learned, and so few that a run on it ends.
  package static let defaultPasses = 50.0

  private let c: RunPlan
  /// Tokens of a pass; nil where they are not counted.
  private let trainingTokens: Int?

  package init(_ plan: RunPlan, trainingTokens: Int?) {
    c = plan
    self.trainingTokens = trainingTokens
  }

  private var isLimited: Bool {
    c.limits.maxSteps != nil || c.limits.maxTokens != nil || c.limits.maxSeconds != nil
      || c.limits.epochs != nil
  }

  /// Tokens of a stream that end a run without limits.
  private var contextToFinish: Int? {
    guard !isLimited, !c.data.isPipe, c.streaming.context > 0 else { return nil }
    let tokens = max(c.streaming.context, c.estimator.family.defaults.tokensOfRun)
    return Self.sum(tokens, c.data.tokensBefore ?? 0)
  }

  /// Tokens of all streams that were read before `--new-data`.
  private var tokensBefore: Int { Self.product(c.data.tokensBefore ?? 0, c.streaming.streams) }

  /// Passes after which the run ends; nil: any number.
  private var passesToFinish: Double? {
    c.limits.epochs ?? (isLimited || c.data.isPipe ? nil : Self.defaultPasses)
  }

  /// Whether the length of the data decides where the run ends.
  package var countsPasses: Bool { passesToFinish != nil }

  /// Tokens of all streams that these passes are; at least one.
  private var tokensOfPasses: Int? {
    guard let passes = passesToFinish, let trainingTokens else { return nil }
    let tokens = passes * Double(trainingTokens)
    return tokens < 0x1p62 ? Self.sum(max(1, Int(tokens)), tokensBefore) : .max
  }

  /// Tokens that a pipe is said to have, where nothing ends the run before.
  private var expectedTokens: Int? {
    c.data.isPipe
      ? c.data.expectTokens.map { Self.sum(max(1, $0 - c.data.skipTokens - 1), tokensBefore) } : nil
  }

  private var windowTokens: Int { c.longestWindow }

  /// Whether it is known from the beginning where the run ends.
  package var hasEnd: Bool {
    isLimited || contextToFinish != nil || tokensOfPasses != nil || expectedTokens != nil
  }

  package func reached(_ p: RunProgress, tokens: Int) -> StopReason? {
    if let most = c.limits.maxSteps, p.step >= most { return .maxSteps }
    if let target = c.limits.stopBelow, let loss = p.smoothedLoss, loss < target { return .stopBelow }
    if let most = c.limits.patience, let record = p.heldOut, record.worse >= most { return .patience }
    if let most = c.limits.maxTokens, tokens >= most { return .maxTokens }
    if let most = c.limits.maxSeconds, p.trainSeconds >= most { return .maxSeconds }
    if let context = contextToFinish, p.tokensPerStream >= context { return .endOfData }
    if let passes = tokensOfPasses, tokens >= passes { return .endOfData }
    return nil
  }

  /// What the limits leave of the run; nil where they say nothing. Windows are of their full length.
  package func left(_ p: RunProgress, tokens: Int) -> (seconds: Double?, windows: Int?) {
    func windows(_ tokens: Int) -> Int { tokens / max(1, c.streaming.streams) / windowTokens }
    let left = [
      c.limits.maxSteps.map { $0 - p.step }, c.limits.maxTokens.map { windows($0 - tokens) },
      tokensOfPasses.map { windows($0 - tokens) },
      contextToFinish.map { ($0 - p.tokensPerStream) / windowTokens },
    ].compactMap { $0 }.min()
    return (c.limits.maxSeconds.map { $0 - p.trainSeconds }, left)
  }

  /// The part of the run that is done, 0 … 1, by the nearest limit; nil where there is none.
  package func part(_ p: RunProgress, tokens: Int) -> Double? {
    [
      c.limits.maxSteps.map { Double(p.step) / Double($0) },
      c.limits.maxTokens.map { Double(tokens) / Double($0) },
      c.limits.maxSeconds.map { p.trainSeconds / $0 },
      contextToFinish.map { Double(p.tokensPerStream) / Double($0) },
      tokensOfPasses.map { Double(tokens) / Double($0) },
      expectedTokens.map { Double(tokens) / Double($0) },
    ].compactMap { $0 }.max().map { min($0, 1) }
  }

  /// The stream tokens that the run will have read in all, where the limits say so; those of seconds do not.
  package var totalTokens: Int? {
    [
      c.limits.maxTokens, c.limits.maxSteps.map { Self.product($0, windowTokens, c.streaming.streams) },
      contextToFinish.map { Self.product($0, c.streaming.streams) }, tokensOfPasses, expectedTokens,
    ].compactMap { $0 }.min()
  }

  /// Updates that these tokens make; nil where they are not known.
  package var totalUpdates: Int? {
    totalTokens.map { $0 / Self.product(windowTokens, c.streaming.streams) }
  }

  private static func sum(_ a: Int, _ b: Int) -> Int {
    let (sum, overflow) = a.addingReportingOverflow(b)
    return overflow ? .max : sum
  }

  /// At most Int.max: whoever says a very large number means "for ever".
  package static func product(_ factors: Int...) -> Int {
    factors.reduce(1) { result, factor in
      let (next, overflow) = result.multipliedReportingOverflow(by: factor)
      return overflow ? .max : next
    }
  }
}
