/// The order in which a chain of steps is taken back with few saved states: Griewank and Walther's revolve (ACM TOMS 799,
/// 2000), which for a number of slots recomputes the fewest steps possible.
///
/// With a slot for every step but the last it degenerates into the plain schedule: save each state on the way there, and
/// take one step again before it is reversed.
///
/// Actions come one at a time; the only memory is the position of each slot, which the caller owns.
struct Revolve {
  enum Action: Equatable {
    /// The current state goes to a slot.
    case save(slot: Int)
    /// A slot becomes the current state.
    case restore(slot: Int)
    /// The current state runs on through these steps, of which nothing is kept.
    case advance(Range<Int>)
    /// The current state runs through this step, all of it is kept, and the step is reversed.
    case reverse(Int)
  }

  private enum Phase { case begin, atSlot, advanced, restore, end }

  private let slots: Int
  private let positions: UnsafeMutablePointer<Int>
  private var phase = Phase.begin
  private var used = 0
  private var at = 0
  private var end: Int

  /// - Parameters:
  ///   - slots: states that can be saved at a time, the first one included; none are needed for one step.
  ///   - positions: room for `slots` numbers.
  init(steps: Int, slots: Int, positions: UnsafeMutablePointer<Int>) {
    precondition(steps <= 1 || slots >= 1, "\(steps) steps with \(slots) slots")
    self.slots = slots
    self.positions = positions
    end = steps
  }

  mutating func next() -> Action? {
    switch phase {
    case .begin:
      if end == 0 { return nil }
      if end == 1 {
        phase = .end
        return .reverse(0)
      }
      return save()
    case .atSlot:
      return end - at == 1 ? reverse(releasing: true) : advance()
    case .advanced:
      return end - at == 1 ? reverse(releasing: false) : save()
    case .restore:
      at = positions[used - 1]
      phase = .atSlot
      return .restore(slot: used - 1)
    case .end:
      return nil
    }
  }

  private mutating func save() -> Action {
    positions[used] = at
    used += 1
    phase = .atSlot
    return .save(slot: used - 1)
  }

  private mutating func advance() -> Action {
    let from = at
    at += Self.split(end - at, slots: slots - used + 1)
    phase = .advanced
    return .advance(from..<at)
  }

  /// - Parameter releasing: whether the step is the one at the last slot, which is then free.
  private mutating func reverse(releasing: Bool) -> Action {
    end = at
    if releasing { used -= 1 }
    phase = used == 0 ? .end : .restore
    return .reverse(at)
  }

  // MARK: The theory

  /// β(s, r) = C(s + r, s): the most steps that s slots reverse if no step is taken more than r times beforehand.
  static func mostSteps(slots: Int, repetitions: Int) -> Int {
    if slots < 0 || repetitions < 0 { return 0 }
    var value = 1
    for r in stride(from: 1, through: repetitions, by: 1) {
      let (product, overflow) = value.multipliedReportingOverflow(by: slots + r)
      if overflow { return .max }
      value = product / r
    }
    return value
  }

  /// The least r with β(s, r) ≥ l.
  private static func repetitions(_ steps: Int, slots: Int) -> Int {
    var (r, most) = (0, 1)
    while most < steps {
      r += 1
      let (product, overflow) = most.multipliedReportingOverflow(by: slots + r)
      most = overflow ? .max : product / r
    }
    return r
  }

  /// How far to go before the next state is saved: one of the optimal places.
  static func split(_ steps: Int, slots: Int) -> Int {
    if slots <= 1 { return steps - 1 }
    let r = repetitions(steps, slots: slots)
    return min(
      mostSteps(slots: slots, repetitions: r - 1), steps - mostSteps(slots: slots - 1, repetitions: r - 1))
  }

  /// The least number of steps that have to be taken without being kept: r·l − β(s + 1, r − 1).
  static func advancedSteps(_ steps: Int, slots: Int) -> Int {
    if steps <= 1 { return 0 }
    let r = repetitions(steps, slots: slots)
    return r * steps - mostSteps(slots: slots + 1, repetitions: r - 1)
  }
}
