import CLongzooKernels

/// One model of stages over many streams, forward through a stretch of tokens and backward again, a block of tokens at a time: products
/// with what lies below are matrix products over many tokens and streams. Between two stages that carry a state, pieces of the block go
/// through all stages together.
///
/// It owns no memory: the pointers are the caller's, laid out as the head of `CKernels/include/sweep.h` says. For plain recurrent
/// layers `ExactSweep` goes token by token instead, and makes the products of a token as one.
package final class StagedSweep {
  /// A stage's pointers. B streams, U units with their padding, G rows and S states of a unit.
  package struct Part {
    /// Tape: [slots + 1][B][U].
    package var h: UnsafeMutablePointer<Float>
    /// Tape: the states after h, `othersStep` floats from one to the next.
    package var others: UnsafeMutablePointer<Float>
    package var othersStep: Int
    /// Tape: [slots][B][GU]; and the same of late rows, or [slots][B][KU] of scalars.
    package var rows: UnsafeMutablePointer<Float>
    package var apart: UnsafeMutablePointer<Float>?
    /// [block][B][U] ∂h by what reads it at the same token.
    package var adjoint: UnsafeMutablePointer<Float>
    /// [S][B][U] ∂ of the states by the tokens after, and [B][U] more where a row is late.
    package var carried: UnsafeMutablePointer<Float>
    /// Room for the packed matrices: the own state's, if rows read it, then those of the stages that it reads.
    package var forward: UnsafeMutablePointer<Float>
    package var backward: UnsafeMutablePointer<Float>

    package init(
      h: UnsafeMutablePointer<Float>, others: UnsafeMutablePointer<Float>, othersStep: Int,
      rows: UnsafeMutablePointer<Float>, apart: UnsafeMutablePointer<Float>?,
      adjoint: UnsafeMutablePointer<Float>, carried: UnsafeMutablePointer<Float>,
      forward: UnsafeMutablePointer<Float>, backward: UnsafeMutablePointer<Float>
    ) {
      (self.h, self.others, self.othersStep, self.rows, self.apart) = (h, others, othersStep, rows, apart)
      (self.adjoint, self.carried, self.forward, self.backward) = (adjoint, carried, forward, backward)
    }
  }

  /// Whether a model has to be run so.
  package static func isNeeded(for shape: ModelShape) -> Bool {
    shape.block != .plain || shape.embeddingSize > 0 || !shape.cell.readsOwnState
  }

  /// Units of a stage with their padding.
  package static func units(_ stage: Stage) -> Int { (stage.units + 15) / 16 * 16 }

  /// Numbers of a stage's memory with their padding.
  package static func memoryUnits(_ stage: Stage) -> Int { (stage.slots * stage.headSize + 15) / 16 * 16 }

  /// Floats that a stream's step of a memory needs.
  package static func roomFloats(_ stage: Stage) -> Int {
    stage.slots > 0 ? (lz_memory_room(stage.slots, stage.headSize, stage.heads) + 15) / 16 * 16 : 0
  }

  /// Floats of a stage's packed matrices.
  package static func packedFloats(_ stage: Stage) -> (forward: Int, backward: Int) {
    let own = ownFloats(stage)
    return (
      own.forward + stage.read * stage.cell.rows * units(stage),
      own.backward + backwardFloats(stage, stage.read)
    )
  }

  private static func ownFloats(_ stage: Stage) -> (forward: Int, backward: Int) {
    guard stage.cell.readsOwnState else { return (0, 0) }
    return (
      lz_sweep_forward_floats(stage.cell.code, stage.units, stage.units),
      lz_sweep_backward_floats(stage.cell.code, stage.units, stage.units)
    )
  }

  /// Floats of the way back to `inputs` units of others, whose padding each has.
  private static func backwardFloats(_ stage: Stage, _ inputs: Int) -> Int {
    var floats = 0
    stage.eachSource { source, column in
      if column < inputs { floats += stage.gates * ((source.units + 15) / 16 * 16) }
    }
    return floats
  }

  /// A stage's packed matrix of the source whose columns begin with `column`.
  func product(_ index: Int, column: Int) -> (
    forward: UnsafeMutablePointer<Float>, backward: UnsafeMutablePointer<Float>
  ) {
    let (stage, part) = (stages[index], parts[index])
    let own = Self.ownFloats(stage)
    return (
      part.forward + own.forward + column * stage.cell.rows * Self.units(stage),
      part.backward + own.backward + Self.backwardFloats(stage, column)
    )
  }

  /// Samples that go through several stages together: few enough to stay in a core's cache. Fixed, so that results do not depend on the
  /// threads.
  private static let piece = 128
  private static let packPieces = 8

  /// Work between two meetings of the threads.
  enum Phase {
    /// Stages whose samples have nothing to do with each other, and of those that carry a state the products with what lies below.
    case samples([Int])
    /// A stage that carries a state, token by token.
    case streams(Int)
  }

  let forwardPhases: [Phase]
  let backwardPhases: [Phase]
  /// Whether a stage reads a later one's h of the token before: then blocks are single tokens.
  let isByToken: Bool
  /// Tokens of a block.
  let block: Int
  private let shape: ModelShape
  let stages: [Stage]
  let parts: [Part]
  let streams: Int
  let instructions: Instructions
  /// Whether ∂ of the stage below, or of the one that is read unit by unit, has been begun by a stage that comes after.
  let addsBelow: [Bool]
  let addsSecond: [Bool]
  let addsOther: [Bool]
  private let layers: UnsafeMutablePointer<lz_sweep_layer>
  let sweeps: UnsafeMutablePointer<lz_sweep>
  private var parameters: UnsafeMutablePointer<Float>?

  /// - Parameter block: the most tokens of a block; parts' adjoints have room for so many.
  package init(
    _ shape: ModelShape, streams: Int, block: Int, parts: [Part], instructions: Instructions
  ) {
    precondition(parts.count == shape.stageCount, "\(parts.count) parts of \(shape.stageCount)")
    (self.shape, self.streams, self.block, self.parts) = (shape, streams, block, parts)
    self.instructions = instructions
    stages = (0..<shape.stageCount).map(shape.stage)
    var begun: Set<Int> = [stages.count - 1]
    var other = [Bool](repeating: false, count: stages.count)
    var (below, second) = (other, other)
    for (index, stage) in stages.enumerated().reversed() {
      // ∂ of a later stage goes to the token before.
      if let source = stage.other { other[index] = !begun.insert(source).inserted }
      if let source = stage.below?.stage { below[index] = !begun.insert(source).inserted }
      if let source = stage.second?.stage, source < index { second[index] = !begun.insert(source).inserted }
    }
    (addsBelow, addsSecond, addsOther) = (below, second, other)
    forwardPhases = Self.forwardPhases(stages)
    backwardPhases = Self.backwardPhases(stages)
    isByToken = shape.cell.isWholeModel
    layers = .allocate(capacity: stages.count)
    sweeps = .allocate(capacity: stages.count)
    for (index, stage) in stages.enumerated() {
      let (part, units) = (parts[index], Self.units(stage))
      let states = stage.cell.states * streams * units
      let late = stage.cell.hasLateRow ? part.apart : nil
      (layers + index).initialize(
        to: lz_sweep_layer(
          inputs: stage.units, bias: nil, late_bias: nil, forward: part.forward, backward: part.backward,
          h: part.h, others: part.others, others_step: part.othersStep, gates: part.rows, late: late,
          input_adjoint: part.carried, state_adjoint: part.carried + streams * units,
          direct: late == nil ? nil : part.carried + states))
      (sweeps + index).initialize(
        to: lz_sweep(
          hidden: stage.units, units: units, streams: streams, layers: 1,
          cell: Int32(stage.cell.code.rawValue),
          prepared: 1, table: nil, layer: UnsafePointer(layers + index)))
    }
  }

  deinit {
    layers.deallocate()
    sweeps.deallocate()
  }

  private static func forwardPhases(_ stages: [Stage]) -> [Phase] {
    var (phases, together): ([Phase], [Int]) = ([], [])
    for (index, stage) in stages.enumerated() {
      if !stage.cell.carriesState || stage.below != nil { together.append(index) }
      guard stage.cell.carriesState else { continue }
      if !together.isEmpty { phases.append(.samples(together)) }
      phases.append(.streams(index))
      together = []
    }
    return together.isEmpty ? phases : phases + [.samples(together)]
  }

  private static func backwardPhases(_ stages: [Stage]) -> [Phase] {
    forwardPhases(stages).reversed().map { phase in
      if case .samples(let stages) = phase { .samples(stages.reversed()) } else { phase }
    }
  }

  /// ∂ of a state of a stage and stream before the last slot that the way back took; part 0 is h.
  package func stateAdjoint(stage: Int, part: Int, stream: Int) -> UnsafePointer<Float> {
    let (units, states) = (Self.units(stages[stage]), stages[stage].cell.states)
    let first = parts[stage].carried + min(part, states) * streams * units
    return UnsafePointer(first + stream * (part < states ? units : Self.memoryUnits(stages[stage])))
  }

  /// Takes over the parameters, which must stay as they are until the sweeps are done.
  package func pack(_ parameters: Parameters, on pool: ThreadPool) {
    self.parameters = parameters.values.pointer
    for index in stages.indices where stages[index].gates > 0 {
      layers[index].bias = UnsafePointer(pointer(.bias(index)))
      if stages[index].cell.hasLateRow { layers[index].late_bias = UnsafePointer(pointer(.scalars(index))) }
    }
    for (index, stage) in stages.enumerated() {
      pool.run(Self.packPieces) { piece, _ in
        packSources(index, piece)
        guard stage.cell.readsOwnState else { return }
        lz_sweep_pack(
          instructions.code, stage.cell.code, stage.units, stage.headSize, stage.units, stage.read,
          pointer(.kernel(index)), parts[index].forward, parts[index].backward, piece, Self.packPieces)
      }
    }
  }

  /// A piece of the matrices of the stages that it reads, there and back.
  private func packSources(_ index: Int, _ piece: Int) {
    let stage = stages[index]
    stage.eachSource { source, column in
      let (packed, w) = (product(index, column: column), pointer(.kernel(index)) + column)
      lz_pack_product(
        instructions.code, w, stage.gates, stage.inputs, stage.cell.rows * Self.units(stage), source.units, 1,
        packed.forward, piece, Self.packPieces)
      lz_pack_product(
        instructions.code, w, source.units, 1, Self.units(stages[source.stage]), stage.gates, stage.inputs,
        packed.backward, piece, Self.packPieces)
    }
  }

  func pointer(_ tensor: Tensor) -> UnsafeMutablePointer<Float> {
    guard let parameters else { preconditionFailure("a sweep without weights") }
    return parameters + shape.slice(tensor).offset
  }

  // MARK: Blocks and pieces

  func eachBlock(_ slots: Range<Int>, _ body: (Range<Int>) -> Void) {
    let step = isByToken ? 1 : block
    for first in stride(from: slots.lowerBound, to: slots.upperBound, by: step) {
      body(first..<min(slots.upperBound, first + step))
    }
  }

  /// Pieces of a block's samples.
  func eachPiece(of slots: Range<Int>, on pool: ThreadPool, _ body: (_ samples: Range<Int>) -> Void) {
    let samples = slots.count * streams
    pool.run((samples + Self.piece - 1) / Self.piece) { piece, _ in
      body(piece * Self.piece..<min(samples, (piece + 1) * Self.piece))
    }
  }

  /// h of a stage after slot `slot`.
  func h(_ stage: Int, after slot: Int) -> UnsafeMutablePointer<Float> {
    parts[stage].h + (slot + 1) * streams * Self.units(stages[stage])
  }

  /// The rows of a stage from slot `slot` on.
  func rows(_ stage: Int, from slot: Int) -> UnsafeMutablePointer<Float> {
    parts[stage].rows + slot * streams * stages[stage].cell.rows * Self.units(stages[stage])
  }

  /// A stage's chain over all slots of the tape; or, of a cell that knows nothing of the past, over a block as if it were one slot of so many
  /// streams.
  func chain(_ index: Int, asOne slots: Range<Int>?, adjoint: UnsafePointer<Float>? = nil) -> lz_chain {
    let (stage, part) = (stages[index], parts[index])
    let first = slots?.lowerBound ?? 0
    var chain = lz_chain()
    chain.cell = Int32(stage.cell.code.rawValue)
    chain.adds = addsOther[index] ? 1 : 0
    chain.hidden = stage.units
    chain.units = Self.units(stage)
    chain.streams = (slots?.count ?? 1) * streams
    chain.bias = layers[index].bias
    if stage.scalarCount > 0 {
      chain.scalars = UnsafePointer(pointer(.scalars(index)))
      chain.scalar_adjoint = part.apart
    }
    chain.table = stage.below == nil ? UnsafePointer(pointer(.table)) : nil
    chain.rows = rows(index, from: first)
    chain.after = h(index, after: first)
    chain.before = UnsafePointer(slots == nil ? part.h : chain.after!)
    chain.others_before = UnsafePointer(part.others)
    chain.others_after = part.others + streams * chain.units
    chain.others_step = part.othersStep
    if let other = stage.other {
      chain.other = UnsafePointer(h(other, after: first))
      chain.other_adjoint = parts[other].adjoint
    }
    chain.adjoint = adjoint
    chain.state_adjoint = part.carried
    return chain
  }
}
