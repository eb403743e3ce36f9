import LongzooMemory
import LongzooModel

/// The exact gradient by back-propagation through time over a window: the baseline (Werbos, 1990; truncated:
/// Williams and Peng, 1990).
///
/// g = ∂/∂θ of the mean loss of the window's targets (K·B tokens without a mark), the state that the window begins with being a constant. A window of
/// the whole context from a zero state is full BPTT; shorter windows with carried states are truncated BPTT.
///
/// Tokens are kept until the window ends; then it runs forward, saving states as the checkpoint schedule says, and
/// backward in blocks of 16 tokens. Results depend neither on the schedule, nor on the threads, nor on how the tokens came.
///
/// Memory grows with the window, at least by its tokens. Not for credit over more tokens than fit: `Hybrid`
/// reaches beyond the window.
public final class BPTT: GradientEstimator, InterruptibleEstimator {
  /// What back-propagation is told.
  public struct Configuration: Sendable {
    /// Positions in the data that are read in parallel, B, at least 1.
    public var streams: Int
    /// The most tokens of a window, K, at least 1.
    public var window: Int
    /// What is kept of a window and what is computed again. No bit of the gradient depends on it.
    public var checkpointing: Checkpointing
    /// The largest Euclidean norm of the gradient; longer ones are scaled down to it. nil: any.
    public var clip: Float?

    /// Keeps all activations and clips nothing, unless told.
    public init(streams: Int, window: Int, checkpointing: Checkpointing = .none, clip: Float? = nil) {
      self.streams = streams
      self.window = window
      self.checkpointing = checkpointing
      self.clip = clip
    }
  }

  /// What it was told.
  public let configuration: Configuration
  /// The gradient of the last window, clipped, [parameterCount] in the order of `ModelShape.tensors`.
  public let gradient: Buffer<Float>
  /// The states after the last window, of every stage that carries one [S][B][U] with U = H rounded up to 16.
  public let states: Buffer<Float>

  let plan: BPTTPlan
  let instructions: Instructions
  let pool: ThreadPool
  let tape: Tape
  let readout: ReadoutSweep
  let weightGradient: WeightGradient
  let sweep: Sweep
  let adjoints: Buffer<Float>
  let checkpoints: Buffer<Float>  // [slots][stateCount]
  let slotPositions: Buffer<Int>
  let tokens: Buffer<UInt32>  // [K + 1][B]
  private let packed: Buffer<Float>
  private var weights: Parameters?
  private var consumed = 0
  var work = BPTTWork()
  public var isGivenUp: ((Double) -> Bool)? {
    get { work.isAsked }
    set { work.isAsked = newValue }
  }
  /// Steps of the schedule that the last window took without keeping them.
  private(set) var advancedTokens = 0

  /// The bytes of `carried`.
  public static func carriedBytes(for shape: ModelShape, _ c: Configuration) -> Int {
    BPTTPlan.resolve(shape, c).stateCount * MemoryLayout<Float>.stride
  }

  /// The bytes that an estimator reserves; they do not depend on the threads.
  public static func byteCount(for shape: ModelShape, _ c: Configuration, threads: Int) -> MemoryTable {
    BPTTPlan.resolve(shape, c).byteCount
  }

  /// - Parameters:
  ///   - pool: its threads share a window's work; results do not depend on their number.
  ///   - instructions: the widest by default; for tests and measurements.
  /// - Throws: `MemoryError`, if the ledger's budget or the system does not allow it, or if
  ///   `Checkpointing.within` has fewer bytes than a single saved state needs.
  public init(
    _ shape: ModelShape, _ configuration: Configuration, pool: ThreadPool, instructions: Instructions = .best,
    ledger: MemoryLedger
  ) throws(MemoryError) {
    let plan = BPTTPlan.resolve(shape, configuration)
    if case .within(let bytes) = configuration.checkpointing, plan.byteCount.total > bytes {
      throw .overBudget(
        purpose: "back-propagation with a single saved state", bytes: plan.byteCount.total,
        category: .activations, budget: bytes, table: MemoryTable())
    }
    self.configuration = configuration
    self.plan = plan
    self.pool = pool
    self.instructions = instructions
    tape = try Tape(plan, ledger: ledger)
    readout = try ReadoutSweep(plan, instructions: instructions, ledger: ledger)
    weightGradient = WeightGradient(plan, instructions: instructions)
    let rooms = BPTTPlan.Rooms(plan)
    states = try rooms.states.buffer(ledger)
    adjoints = try rooms.adjoints.buffer(ledger)
    checkpoints = try rooms.checkpoints.buffer(ledger)
    slotPositions = try rooms.slotPositions.buffer(ledger)
    tokens = try rooms.tokens.buffer(ledger)
    packed = try rooms.packed.buffer(ledger)
    gradient = try rooms.gradient.buffer(ledger)
    sweep = Sweep(
      plan, tape, packed: packed.pointer, adjoints: adjoints.pointer, instructions: instructions)
    beginContext()
  }

  // MARK: One window

  /// Keeps the parameters, and reads them when the window ends: they must not change before.
  public func take(_ parameters: Parameters) { weights = parameters }

  public func beginWindow(_ window: Int) {
    consumed = 0
  }

  public var shape: ModelShape { plan.shape }
  public var streams: Int { plan.streams }

  /// Takes the next tokens of every stream; the work is done when the window ends.
  public func consume(_ tokens: TokenBlock) {
    tokens.require(streams: streams, vocabularySize: shape.vocabularySize)
    let count = tokens.count
    precondition(
      consumed + count <= plan.window, "\(consumed + count) tokens for a window of \(plan.window)")
    let streams = streams
    for stream in 0..<streams {
      let from = tokens.row(stream)
      let to = self.tokens.pointer + consumed * streams + stream
      for i in 0...count { to[i * streams] = from[i] }
    }
    consumed += count
  }

  /// What a window says.
  public struct WindowResult: GradientResult {
    /// Mean loss of a target, in nats.
    public var loss: Double
    public var targets: Int
    /// The gradient's Euclidean norm before it was clipped.
    public var gradientNorm: Double
    /// Whether loss and gradient are finite. If not, the states that are not finite start from zero.
    public var isFinite: Bool
    /// ‖g‖² before it was clipped, if it is finite, and nothing else.
    public var meters: WindowMeters {
      var meters = WindowMeters()
      if isFinite { meters.estimateSquare = gradientNorm * gradientNorm }
      return meters
    }
    public var refusal: Wording? {
      isFinite
        ? nil
        : "the loss or the gradient was infinite or NaN (a smaller \(.learningRate) helps if this goes on)"
    }
  }

  /// Runs the window forward and backward, and clips the gradient. Without a target only the states go on.
  /// - Precondition: `count` tokens of every stream have come, at least one, and `take` was called.
  public func finishWindow(tokens count: Int) -> WindowResult {
    precondition(count == consumed && count > 0, "\(count) tokens of \(consumed) that came")
    guard let weights else { preconditionFailure("a window ends before any weights were taken") }
    sweep.pack(weights, on: pool)
    tape.load(states.pointer)
    let targets = TokenMark.targets(tokens.pointer + plan.streams, count: count * plan.streams)
    guard targets > 0 else {
      work.begin(tokens: count, plan: plan, positions: slotPositions.pointer)
      advance(tokens: count)
      return WindowResult(loss: 0, targets: 0, gradientNorm: 0, isFinite: true)
    }
    clearGradient()
    adjoints.elements.update(repeating: 0)
    let sum = runSchedule(tokens: count, targets: targets, weights: weights)
    let loss = sum / Double(targets)
    let norm = clippedNorm()
    let isFinite = loss.isFinite && norm.isFinite
    if !isFinite { resetBrokenStates() }
    return WindowResult(loss: loss, targets: targets, gradientNorm: norm, isFinite: isFinite)
  }

  /// The states of every stage of a stream, as the next window begins with them; part 0 is h.
  func eachState(
    ofStream stream: Int, _ take: (_ stage: Int, _ part: Int, _ units: UnsafePointer<Float>) -> Void
  ) {
    eachState { stage, part, states in
      take(stage, part, states + stream * plan.units(ofStage: stage, part: part))
    }
  }

  /// The states of all streams, [B][U] each.
  private func eachState(
    _ take: (_ stage: Int, _ part: Int, _ states: UnsafeMutablePointer<Float>) -> Void
  ) {
    var at = states.pointer
    for stage in 0..<plan.shape.stageCount where plan.shape.stage(stage).cell.carriesState {
      for part in 0..<plan.shape.stage(stage).parts {
        take(stage, part, at)
        at += plan.streams * plan.units(ofStage: stage, part: part)
      }
    }
  }

  /// ∂ of the last window's loss by a state before its first token, of one stage and stream; part 0 is h.
  func stateAdjoint(stage: Int, part: Int, stream: Int) -> UnsafePointer<Float> {
    sweep.stateAdjoint(stage: stage, part: part, stream: stream)
  }

  /// Streams whose state is infinite or NaN start afresh, or no window would ever be finite again.
  func resetBrokenStates() {
    for stream in 0..<plan.streams {
      var isFinite = true
      eachState { stage, part, states in
        let units = plan.units(ofStage: stage, part: part)
        for unit in 0..<units where !states[stream * units + unit].isFinite { isFinite = false }
      }
      if !isFinite { beginContext(ofStream: stream) }
    }
  }

  /// A context begins: all states are fresh again.
  public func beginContext() { for stream in 0..<plan.streams { beginContext(ofStream: stream) } }

  public func beginContext(ofStream stream: Int) {
    eachState { stage, part, states in
      let units = plan.units(ofStage: stage, part: part)
      plan.shape.stage(stage).freshen(
        states + stream * units, padded: units, part: part, isEmpty: plan.shape.startsEmpty)
    }
  }

  public var carried: [CarriedState] { [CarriedState("bptt.states", floats: states, of: self)] }

  /// Nothing but the states outlives a window.
  public func restore(afterWindow window: Int) {}

  /// Follows the checkpoint schedule; returns the sum of the losses, or NaN if it was given up.
  private func runSchedule(tokens count: Int, targets: Int, weights: Parameters) -> Double {
    work.begin(tokens: count, plan: plan, positions: slotPositions.pointer)
    var schedule = Revolve(
      steps: (count + plan.step - 1) / plan.step, slots: plan.slots, positions: slotPositions.pointer)
    var loss = 0.0
    advancedTokens = 0
    while !work.isGivenUp, let action = schedule.next() {
      switch action {
      case .save(let slot):
        tape.store(slot: 0, to: checkpoints.pointer + slot * plan.stateCount)
      case .restore(let slot):
        tape.load(checkpoints.pointer + slot * plan.stateCount)
      case .advance(let steps):
        for step in steps where !work.isGivenUp {
          forward(step * plan.step..<(step + 1) * plan.step, keep: false)
          tape.moveToStart(slot: plan.step)
        }
        advancedTokens += steps.count * plan.step
      case .reverse(let step):
        let segment = step * plan.step..<min(count, (step + 1) * plan.step)
        forward(segment, keep: true)
        if segment.upperBound == count { tape.store(slot: segment.count, to: states.pointer) }
        reverse(segment, windowTargets: targets, weights: weights, loss: &loss)
      }
    }
    return work.isGivenUp ? .nan : loss
  }

  /// Carries the states through a window in which there is nothing to predict.
  private func advance(tokens count: Int) {
    for first in stride(from: 0, to: count, by: plan.step) {
      let segment = first..<min(count, first + plan.step)
      forward(segment, keep: false)
      if segment.upperBound == count {
        tape.store(slot: segment.count, to: states.pointer)
      } else {
        tape.moveToStart(slot: plan.step)
      }
    }
  }
}
