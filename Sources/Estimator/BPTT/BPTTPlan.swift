import LongzooMemory
import LongzooModel

/// What a configuration means for a shape: the tape's length, the number of saved states, and the bytes of everything.
///
/// Weight gradients are summed over blocks of 16 tokens, aligned to the window, from its end to its start. Steps of the
/// checkpoint schedule are whole blocks, so the sums do not depend on the schedule.
struct BPTTPlan {
  /// Tokens whose partial products are summed as one; also the smallest step of a schedule.
  static let blockTokens = 16

  let shape: ModelShape
  let streams: Int
  let window: Int
  /// Tokens that the tape holds, and that one step of the schedule takes.
  let step: Int
  /// States that can be saved.
  let slots: Int

  /// Units of a stage, padding included.
  func units(ofStage index: Int) -> Int { StagedSweep.units(shape.stage(index)) }
  /// Rows of a stage and stream, padding included.
  func rowUnits(ofStage index: Int) -> Int { shape.stage(index).cell.rows * units(ofStage: index) }
  /// What lies apart from the rows, padding included: the rows again where one is late, else the scalars.
  func apartUnits(ofStage index: Int) -> Int {
    let cell = shape.stage(index).cell
    let stage = shape.stage(index)
    return stage.slots > 0
      ? (stage.scalarCount + 15) / 16 * 16
      : (cell.hasLateRow ? cell.rows : cell.scalars.count) * units(ofStage: index)
  }
  /// Numbers of a stage's memory, padding included.
  func memoryUnits(ofStage index: Int) -> Int { StagedSweep.memoryUnits(shape.stage(index)) }
  /// Numbers of a part of a stage's state, padding included; part 0 is h.
  func units(ofStage index: Int, part: Int) -> Int {
    part < shape.stage(index).cell.states ? units(ofStage: index) : memoryUnits(ofStage: index)
  }
  /// Units of the stage that the readout reads.
  var topUnits: Int { units(ofStage: shape.stageCount - 1) }
  /// Floats of the states of all stages and streams that carry one.
  var stateCount: Int {
    (0..<shape.stageCount).reduce(0) { sum, index in
      let cell = shape.stage(index).cell
      return cell.carriesState
        ? sum + streams * (cell.states * units(ofStage: index) + memoryUnits(ofStage: index)) : sum
    }
  }
  /// Whether blocks of tokens go through the model stage by stage.
  var isStaged: Bool { StagedSweep.isNeeded(for: shape) }

  /// - Precondition: the plan's bytes fit an Int: `train` refuses what would come near that.
  static func resolve(_ shape: ModelShape, _ c: BPTT.Configuration) -> BPTTPlan {
    precondition(c.streams >= 1 && c.window >= 1, "\(c.streams) streams, a window of \(c.window) tokens")
    func plan(_ step: Int, _ slots: Int) -> BPTTPlan {
      BPTTPlan(shape, streams: c.streams, window: c.window, step: step, slots: slots)
    }
    switch c.checkpointing {
    case .none: return plan(c.window, 0)
    case .sqrt: return plan(ceilingOfRoot(c.window), .max)
    case .every(let tokens): return plan(tokens, .max)
    case .binomial(let checkpoints): return plan(blockTokens, max(1, checkpoints))
    case .within(let bytes):
      let whole = plan(c.window, 0)
      if whole.byteCount.total <= bytes { return whole }
      let least = plan(blockTokens, 1)
      let slot = Buffer<Float>.byteCount(for: least.stateCount) + MemoryLayout<Int>.stride
      let most = plan(blockTokens, 1 + max(0, bytes - least.byteCount.total) / slot)
      // The slots' positions are charged in whole cache lines: that may be one slot too many.
      return most.byteCount.total > bytes ? plan(blockTokens, max(1, most.slots - 1)) : most
    }
  }

  private init(_ shape: ModelShape, streams: Int, window: Int, step: Int, slots: Int) {
    self.shape = shape
    self.streams = streams
    self.window = window
    let block = Self.blockTokens
    // A step may be of any length, and is never longer than the window.
    self.step = min(window, ((min(window, max(1, step)) - 1) / block + 1) * block)
    self.slots = min(slots, (window - 1) / self.step)
  }

  private static func ceilingOfRoot(_ value: Int) -> Int {
    var root = Int(Double(value).squareRoot())
    func isBelow(_ root: Int) -> Bool {
      let (square, overflow) = root.multipliedReportingOverflow(by: root)
      return !overflow && square < value
    }
    while isBelow(root) { root += 1 }
    return root
  }

  // MARK: Sizes

  var blockRows: Int { min(Self.blockTokens, window) * streams }
  /// Row of logits.
  var logitStride: Int { (shape.vocabularySize + 15) / 16 * 16 }
  /// Rows of logits that are there at a time: 4 MiB of them, and no fewer than 16.
  var logitRows: Int { min(blockRows, max(16, (1 << 20) / logitStride)) }
  func packedFloats(ofStage index: Int) -> (forward: Int, backward: Int) {
    isStaged ? StagedSweep.packedFloats(shape.stage(index)) : ExactSweep.packedFloats(shape, layer: index)
  }
  /// ∂h of a stage by what reads it at the same token: of a plain layer, at one token, in front of what is carried.
  func adjointCount(ofStage index: Int) -> Int {
    let slot = streams * units(ofStage: index)
    return isStaged ? min(Self.blockTokens, window) * slot : index == 0 ? 0 : slot
  }
  /// ∂ of a stage's states by the tokens after; and of its h by other ways than the rows, where a row is late.
  func carriedCount(ofStage index: Int) -> Int {
    let cell = shape.stage(index).cell
    return (cell.states + (cell.hasLateRow ? 1 : 0)) * streams * units(ofStage: index)
      + streams * (memoryUnits(ofStage: index) + StagedSweep.roomFloats(shape.stage(index)))
  }
  var packedFloats: Int {
    (0..<shape.stageCount).reduce(0) {
      $0 + packedFloats(ofStage: $1).forward + packedFloats(ofStage: $1).backward
    }
  }
  var adjointCount: Int {
    (0..<shape.stageCount).reduce(0) { $0 + adjointCount(ofStage: $1) + carriedCount(ofStage: $1) }
  }

  var byteCount: MemoryTable {
    var table = Rooms(self).table
    table[.activations] += Tape.byteCount(for: self) + ReadoutSweep.byteCount(for: self)
    return table
  }

  /// The estimator's own buffers, besides those of the tape and the readout.
  struct Rooms {
    let states: Room<Float>
    let adjoints: Room<Float>
    let checkpoints: Room<Float>
    let slotPositions: Room<Int>
    let tokens: Room<UInt32>
    let packed: Room<Float>
    let gradient: Room<Float>
    let table: MemoryTable

    init(_ plan: BPTTPlan) {
      var table = MemoryTable()
      states = table.add(plan.stateCount, .activations, for: "the carried states")
      adjoints = table.add(plan.adjointCount, .activations, for: "the derivatives of the states")
      checkpoints = table.add(
        plan.slots * plan.stateCount, .activations, for: "\(plan.slots) saved states")
      slotPositions = table.add(plan.slots, .activations, for: "the places of saved states")
      tokens = table.add((plan.window + 1) * plan.streams, .stream, for: "the window's tokens")
      packed = table.add(plan.packedFloats, .parameters, for: "the packed recurrent weights")
      gradient = table.add(plan.shape.parameterCount, .perturbations, for: "the gradient")
      self.table = table
    }
  }
}
