import LongzooMemory
import LongzooModel

/// What the way back needs of a stretch of consecutive tokens: h, c and gates of every layer and stream.
///
/// Slot 0 of h and c is the state before the stretch. Where nobody goes back through the cells, there is no c.
final class Tape {
  let plan: BPTTPlan
  private let hidden: Buffer<Float>  // [L][S + 1][B][U]
  private let cells: Buffer<Float>  // [L][S + 1][B][U]
  private let gateValues: Buffer<Float>  // [L][S][B][4U]

  /// Floats of one slot of h or c.
  private var slot: Int { plan.streams * plan.units }

  static func byteCount(for plan: BPTTPlan, keepsCells: Bool = true) -> Int {
    Rooms(plan, keepsCells: keepsCells).table.total
  }

  private struct Rooms {
    let hidden: Room<Float>
    let cells: Room<Float>
    let gateValues: Room<Float>
    let table: MemoryTable

    init(_ plan: BPTTPlan, keepsCells: Bool) {
      let slot = plan.shape.layers * plan.streams * plan.units
      let purpose = "the activations of \(plan.step) tokens"
      var table = MemoryTable()
      hidden = table.add((plan.step + 1) * slot, .activations, for: purpose)
      cells = table.add(keepsCells ? (plan.step + 1) * slot : 0, .activations, for: purpose)
      gateValues = table.add(plan.step * 4 * slot, .activations, for: purpose)
      self.table = table
    }
  }

  init(_ plan: BPTTPlan, keepsCells: Bool = true, ledger: MemoryLedger) throws(MemoryError) {
    self.plan = plan
    let rooms = Rooms(plan, keepsCells: keepsCells)
    hidden = try rooms.hidden.buffer(ledger)
    cells = try rooms.cells.buffer(ledger)
    gateValues = try rooms.gateValues.buffer(ledger)
  }

  func h(_ layer: Int, slot index: Int = 0) -> UnsafeMutablePointer<Float> {
    hidden.pointer + (layer * (plan.step + 1) + index) * slot
  }

  func c(_ layer: Int, slot index: Int = 0) -> UnsafeMutablePointer<Float> {
    cells.pointer + (layer * (plan.step + 1) + index) * slot
  }

  /// Behind the way back: ∂ of the gates' inputs.
  func gates(_ layer: Int, slot index: Int = 0) -> UnsafeMutablePointer<Float> {
    gateValues.pointer + (layer * plan.step + index) * 4 * slot
  }

  /// What the gradient of weights is made of, for some slots.
  /// - Parameter tokens: [slots][B].
  func samples(slots: Range<Int>, tokens: UnsafePointer<UInt32>) -> GradientSamples {
    GradientSamples(
      count: slots.count * plan.streams, gates: gates(0, slot: slots.lowerBound),
      gatesOfLayer: plan.step * 4 * slot, before: h(0, slot: slots.lowerBound),
      after: h(0, slot: slots.lowerBound + 1), statesOfLayer: (plan.step + 1) * slot, tokens: tokens)
  }

  // MARK: States, [L][h, c][B][U]

  /// The state before the stretch becomes `state`.
  func load(_ state: UnsafePointer<Float>) {
    for layer in 0..<plan.shape.layers {
      h(layer).update(from: state + 2 * layer * slot, count: slot)
      c(layer).update(from: state + (2 * layer + 1) * slot, count: slot)
    }
  }

  /// Copies the state before slot `index` to `state`.
  func store(slot index: Int, to state: UnsafeMutablePointer<Float>) {
    for layer in 0..<plan.shape.layers {
      (state + 2 * layer * slot).update(from: h(layer, slot: index), count: slot)
      (state + (2 * layer + 1) * slot).update(from: c(layer, slot: index), count: slot)
    }
  }

  /// The state before slot `index` becomes the state before the stretch.
  func moveToStart(slot index: Int) {
    for layer in 0..<plan.shape.layers {
      h(layer).update(from: h(layer, slot: index), count: slot)
      c(layer).update(from: c(layer, slot: index), count: slot)
    }
  }
}
