import LongzooMemory
import LongzooModel

/// What the way back needs of a stretch of consecutive tokens: states and rows of every stage and stream.
///
/// Slot 0 of a state is the state before the stretch. Where nobody goes back through the cells, there is no state but h.
final class Tape {
  let plan: BPTTPlan
  let places: Places
  private let hidden: Buffer<Float>  // of every stage [slots + 1][B][U]
  private let otherStates: Buffer<Float>  // [S − 1][slots + 1][B][U]
  private let rowValues: Buffer<Float>  // [slots][B][GU]
  /// Likewise, where the cell has a late row; else [slots][B][KU] of scalars.
  private let apartValues: Buffer<Float>

  /// Where the parts of the stages begin in each buffer, and after the last one its end.
  struct Places {
    var hidden = [0]
    var others = [0]
    var rows = [0]
    var apart = [0]

    init(_ plan: BPTTPlan, keepsCells: Bool) {
      for index in 0..<plan.shape.stageCount {
        let cell = plan.shape.stage(index).cell
        let slot = plan.streams * plan.units(ofStage: index)
        hidden.append(hidden[index] + (plan.step + 1) * slot)
        let after = (cell.states - 1) * slot + plan.streams * plan.memoryUnits(ofStage: index)
        others.append(others[index] + (keepsCells ? (plan.step + 1) * after : 0))
        rows.append(rows[index] + plan.step * cell.rows * slot)
        apart.append(
          apart[index] + (keepsCells ? plan.step * plan.streams * plan.apartUnits(ofStage: index) : 0))
      }
    }
  }

  static func byteCount(for plan: BPTTPlan, keepsCells: Bool = true) -> Int {
    Rooms(plan, Places(plan, keepsCells: keepsCells)).table.total
  }

  private struct Rooms {
    let hidden: Room<Float>
    let otherStates: Room<Float>
    let rowValues: Room<Float>
    let apartValues: Room<Float>
    let table: MemoryTable

    init(_ plan: BPTTPlan, _ places: Places) {
      let purpose = "the activations of \(plan.step) tokens"
      var table = MemoryTable()
      hidden = table.add(places.hidden.last!, .activations, for: purpose)
      otherStates = table.add(places.others.last!, .activations, for: purpose)
      rowValues = table.add(places.rows.last!, .activations, for: purpose)
      apartValues = table.add(places.apart.last!, .activations, for: purpose)
      self.table = table
    }
  }

  init(_ plan: BPTTPlan, keepsCells: Bool = true, ledger: MemoryLedger) throws(MemoryError) {
    self.plan = plan
    places = Places(plan, keepsCells: keepsCells)
    let rooms = Rooms(plan, places)
    hidden = try rooms.hidden.buffer(ledger)
    otherStates = try rooms.otherStates.buffer(ledger)
    rowValues = try rooms.rowValues.buffer(ledger)
    apartValues = try rooms.apartValues.buffer(ledger)
  }

  /// Floats of one slot of a state.
  private func slot(_ stage: Int, part: Int = 0) -> Int {
    plan.streams * plan.units(ofStage: stage, part: part)
  }

  func h(_ stage: Int, slot index: Int = 0) -> UnsafeMutablePointer<Float> {
    hidden.pointer + places.hidden[stage] + index * slot(stage)
  }

  /// Floats from one of the states after h to the next.
  func othersStep(_ stage: Int) -> Int { (plan.step + 1) * slot(stage) }

  /// The first of the states after h.
  func others(_ stage: Int) -> UnsafeMutablePointer<Float> { otherStates.pointer + places.others[stage] }

  /// A state of a stage; part 0 is h.
  private func state(_ stage: Int, part: Int, slot index: Int = 0) -> UnsafeMutablePointer<Float> {
    part == 0
      ? h(stage, slot: index)
      : others(stage) + (part - 1) * othersStep(stage) + index * slot(stage, part: part)
  }

  /// After the way back: ∂ of the rows' inputs.
  func rows(_ stage: Int) -> UnsafeMutablePointer<Float> { rowValues.pointer + places.rows[stage] }

  /// Likewise, where a late row is ∂ of its product with the own state; or ∂ of the scalars.
  func apart(_ stage: Int) -> UnsafeMutablePointer<Float> { apartValues.pointer + places.apart[stage] }

  /// What the gradient of weights is made of, for some slots.
  /// - Parameter tokens: [slots][B].
  func samples(slots: Range<Int>, tokens: UnsafePointer<UInt32>) -> GradientSamples {
    let first = slots.lowerBound * plan.streams
    return GradientSamples(
      count: slots.count * plan.streams, rows: rows(0), apart: apart(0), h: h(0), places: places,
      first: first,
      before: first, after: first + plan.streams, tokens: tokens)
  }

  // MARK: States, of every stage that carries one [states][B][U]

  private func eachState(_ body: (_ stage: Int, _ part: Int, _ offset: Int) -> Void) {
    var offset = 0
    for stage in 0..<plan.shape.stageCount where plan.shape.stage(stage).cell.carriesState {
      for part in 0..<plan.shape.stage(stage).parts {
        body(stage, part, offset)
        offset += slot(stage, part: part)
      }
    }
  }

  /// The state before the stretch becomes `state`.
  func load(_ from: UnsafePointer<Float>) {
    eachState { stage, part, offset in
      state(stage, part: part).update(from: from + offset, count: slot(stage, part: part))
    }
  }

  /// Copies the state before slot `index` to `to`.
  func store(slot index: Int, to: UnsafeMutablePointer<Float>) {
    eachState { stage, part, offset in
      (to + offset).update(from: state(stage, part: part, slot: index), count: slot(stage, part: part))
    }
  }

  /// The state before slot `index` becomes the state before the stretch.
  func moveToStart(slot index: Int) {
    eachState { stage, part, _ in
      let count = slot(stage, part: part)
      state(stage, part: part).update(from: state(stage, part: part, slot: index), count: count)
    }
  }
}
