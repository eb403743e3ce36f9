import LongzooMemory
import LongzooModel

/// What the way back needs of a stretch of consecutive tokens: states and gates of every layer and stream.
///
/// Slot 0 of a state is the state before the stretch. Where nobody goes back through the cells, there is no state but h.
final class Tape {
  let plan: BPTTPlan
  private let hidden: Buffer<Float>  // [L][S + 1][B][U]
  private let otherStates: Buffer<Float>  // [L][states − 1][S + 1][B][U]
  private let gateValues: Buffer<Float>  // [L][S][B][GU]
  private let lateValues: Buffer<Float>  // likewise, where the cell has a late row

  /// Floats of one slot of a state.
  private var slot: Int { plan.streams * plan.units }

  static func byteCount(for plan: BPTTPlan, keepsCells: Bool = true) -> Int {
    Rooms(plan, keepsCells: keepsCells).table.total
  }

  private struct Rooms {
    let hidden: Room<Float>
    let otherStates: Room<Float>
    let gateValues: Room<Float>
    let lateValues: Room<Float>
    let table: MemoryTable

    init(_ plan: BPTTPlan, keepsCells: Bool) {
      let slot = plan.shape.layers * plan.streams * plan.units
      let purpose = "the activations of \(plan.step) tokens"
      var table = MemoryTable()
      hidden = table.add((plan.step + 1) * slot, .activations, for: purpose)
      let cell = plan.shape.cell
      otherStates = table.add(
        keepsCells ? (cell.states - 1) * (plan.step + 1) * slot : 0, .activations, for: purpose)
      gateValues = table.add(plan.step * cell.rows * slot, .activations, for: purpose)
      lateValues = table.add(
        keepsCells && cell.hasLateRow ? plan.step * cell.rows * slot : 0, .activations, for: purpose)
      self.table = table
    }
  }

  init(_ plan: BPTTPlan, keepsCells: Bool = true, ledger: MemoryLedger) throws(MemoryError) {
    self.plan = plan
    let rooms = Rooms(plan, keepsCells: keepsCells)
    hidden = try rooms.hidden.buffer(ledger)
    otherStates = try rooms.otherStates.buffer(ledger)
    gateValues = try rooms.gateValues.buffer(ledger)
    lateValues = try rooms.lateValues.buffer(ledger)
  }

  func h(_ layer: Int, slot index: Int = 0) -> UnsafeMutablePointer<Float> {
    hidden.pointer + (layer * (plan.step + 1) + index) * slot
  }

  /// Floats from one of the states after h to the next.
  var othersStep: Int { (plan.step + 1) * slot }

  /// The first of the states after h.
  func others(_ layer: Int) -> UnsafeMutablePointer<Float> {
    otherStates.pointer + layer * (plan.shape.cell.states - 1) * othersStep
  }

  /// A state of a layer; part 0 is h.
  private func state(_ layer: Int, part: Int, slot index: Int = 0) -> UnsafeMutablePointer<Float> {
    part == 0 ? h(layer, slot: index) : others(layer) + (part - 1) * othersStep + index * slot
  }

  /// Behind the way back: ∂ of the gates' inputs.
  func gates(_ layer: Int, slot index: Int = 0) -> UnsafeMutablePointer<Float> {
    gateValues.pointer + (layer * plan.step + index) * plan.shape.cell.rows * slot
  }

  /// Likewise, where a late row is ∂ of its product with the own state.
  func late(_ layer: Int, slot index: Int = 0) -> UnsafeMutablePointer<Float> {
    lateValues.pointer + (layer * plan.step + index) * plan.shape.cell.rows * slot
  }

  /// What the gradient of weights is made of, for some slots.
  /// - Parameter tokens: [slots][B].
  func samples(slots: Range<Int>, tokens: UnsafePointer<UInt32>) -> GradientSamples {
    GradientSamples(
      count: slots.count * plan.streams, gates: gates(0, slot: slots.lowerBound),
      ownGates: plan.shape.cell.hasLateRow
        ? late(0, slot: slots.lowerBound) : gates(0, slot: slots.lowerBound),
      gatesOfLayer: plan.step * plan.shape.cell.rows * slot, before: h(0, slot: slots.lowerBound),
      after: h(0, slot: slots.lowerBound + 1), statesOfLayer: (plan.step + 1) * slot, tokens: tokens)
  }

  // MARK: States, [L][states][B][U]

  private func eachState(_ body: (_ layer: Int, _ part: Int, _ offset: Int) -> Void) {
    for layer in 0..<plan.shape.layers {
      for part in 0..<plan.shape.cell.states {
        body(layer, part, (layer * plan.shape.cell.states + part) * slot)
      }
    }
  }

  /// The state before the stretch becomes `state`.
  func load(_ from: UnsafePointer<Float>) {
    eachState { layer, part, offset in state(layer, part: part).update(from: from + offset, count: slot) }
  }

  /// Copies the state before slot `index` to `to`.
  func store(slot index: Int, to: UnsafeMutablePointer<Float>) {
    eachState { layer, part, offset in
      (to + offset).update(from: state(layer, part: part, slot: index), count: slot)
    }
  }

  /// The state before slot `index` becomes the state before the stretch.
  func moveToStart(slot index: Int) {
    eachState { layer, part, _ in
      state(layer, part: part).update(from: state(layer, part: part, slot: index), count: slot)
    }
  }
}
