/// How far a window's back-propagation is, for whoever watches it and may give it up.
struct BPTTWork {
  /// A token's way back costs about as much as two ways forward.
  static let backward = 2
  /// Multiplications between two questions: some hundredths of a second.
  private static let multiplications = 1 << 30

  /// Told the part of the work that is done; true gives it up. nil: nobody watches.
  var isAsked: ((Double) -> Bool)?
  private var total = 0
  private var done = 0
  private(set) var isGivenUp = false

  /// A window begins.
  /// - Parameters:
  ///   - count: its tokens.
  ///   - positions: the schedule's memory, which is free before it begins.
  mutating func begin(tokens count: Int, plan: BPTTPlan, positions: UnsafeMutablePointer<Int>) {
    (total, done, isGivenUp) = (0, 0, false)
    guard isAsked != nil else { return }
    var schedule = Revolve(
      steps: (count + plan.step - 1) / plan.step, slots: plan.slots, positions: positions)
    while let action = schedule.next() {
      if case .advance(let steps) = action { total += steps.count * plan.step }
    }
    total += (1 + Self.backward) * count
  }

  /// Tokens that are gone through between two questions, in whole blocks.
  func piece(of plan: BPTTPlan) -> Int {
    guard isAsked != nil else { return .max }
    let product = plan.streams.multipliedReportingOverflow(by: plan.shape.parameterCount)
    let (block, tokens) = (
      BPTTPlan.blockTokens, product.overflow ? 0 : Self.multiplications / product.partialValue
    )
    return max(block, tokens / block * block)
  }

  /// To be called before `tokens` tokens of cost 1 are gone through.
  /// - Returns: whether there is anything left to do.
  mutating func mayGoOn(_ tokens: Int) -> Bool {
    guard !isGivenUp, let isAsked else { return !isGivenUp }
    isGivenUp = isAsked(min(1, Double(done) / Double(max(1, total))))
    done += tokens
    return !isGivenUp
  }
}
