import CLongzooKernels

/// One model of stages over many streams, forward through a stretch of tokens and backward again, a block of tokens and a stage at a
/// time: products with what lies below are matrix products over all tokens and streams of the block.
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
    /// Tape: [slots][B][GU], and the same of late rows.
    package var rows: UnsafeMutablePointer<Float>
    package var late: UnsafeMutablePointer<Float>?
    /// [block][B][U] ∂h by what reads it at the same token.
    package var adjoint: UnsafeMutablePointer<Float>
    /// [S][B][U] ∂ of the states by the tokens after, and [B][U] more where a row is late.
    package var carried: UnsafeMutablePointer<Float>
    /// Room for the packed own matrix, if rows read the own state.
    package var forward: UnsafeMutablePointer<Float>
    package var backward: UnsafeMutablePointer<Float>

    package init(
      h: UnsafeMutablePointer<Float>, others: UnsafeMutablePointer<Float>, othersStep: Int,
      rows: UnsafeMutablePointer<Float>, late: UnsafeMutablePointer<Float>?,
      adjoint: UnsafeMutablePointer<Float>, carried: UnsafeMutablePointer<Float>,
      forward: UnsafeMutablePointer<Float>, backward: UnsafeMutablePointer<Float>
    ) {
      (self.h, self.others, self.othersStep, self.rows, self.late) = (h, others, othersStep, rows, late)
      (self.adjoint, self.carried, self.forward, self.backward) = (adjoint, carried, forward, backward)
    }
  }

  /// Whether a model has to be run so.
  package static func isNeeded(for shape: ModelShape) -> Bool {
    shape.block != .plain || shape.embeddingSize > 0 || !shape.cell.readsOwnState
  }

  /// Units of a stage with their padding.
  package static func units(_ stage: Stage) -> Int { (stage.units + 15) / 16 * 16 }

  /// Floats of a stage's packed own matrix.
  package static func packedFloats(_ stage: Stage) -> (forward: Int, backward: Int) {
    guard stage.cell.readsOwnState else { return (0, 0) }
    return (
      lz_sweep_forward_floats(stage.cell.code, stage.units, stage.units),
      lz_sweep_backward_floats(stage.cell.code, stage.units, stage.units)
    )
  }

  /// Samples of one matrix product; fixed, so that results do not depend on the threads.
  private static let piece = 256
  private static let packPieces = 8

  /// Tokens of a block.
  private let block: Int
  private let shape: ModelShape
  private let stages: [Stage]
  private let parts: [Part]
  private let streams: Int
  private let instructions: Instructions
  /// Whether ∂ of the stage below, or of the one that is read unit by unit, has been begun by a stage that comes after.
  private let addsBelow: [Bool]
  private let addsOther: [Bool]
  private let layers: UnsafeMutablePointer<lz_sweep_layer>
  private let sweeps: UnsafeMutablePointer<lz_sweep>
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
    var (below, other) = (
      [Bool](repeating: false, count: stages.count), [Bool](repeating: false, count: stages.count)
    )
    for (index, stage) in stages.enumerated().reversed() {
      if let source = stage.other { other[index] = !begun.insert(source).inserted }
      if let source = stage.below?.stage { below[index] = !begun.insert(source).inserted }
    }
    (addsBelow, addsOther) = (below, other)
    layers = .allocate(capacity: stages.count)
    sweeps = .allocate(capacity: stages.count)
    for (index, stage) in stages.enumerated() {
      let (part, units) = (parts[index], Self.units(stage))
      let states = stage.cell.states * streams * units
      (layers + index).initialize(
        to: lz_sweep_layer(
          inputs: stage.units, bias: nil, late_bias: nil, forward: part.forward, backward: part.backward,
          h: part.h, others: part.others, others_step: part.othersStep, gates: part.rows, late: part.late,
          input_adjoint: part.carried, state_adjoint: part.carried + streams * units,
          direct: part.late == nil ? nil : part.carried + states))
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

  /// ∂ of a state of a stage and stream before the last slot that the way back took; part 0 is h.
  package func stateAdjoint(stage: Int, part: Int, stream: Int) -> UnsafePointer<Float> {
    UnsafePointer(parts[stage].carried + (part * streams + stream) * Self.units(stages[stage]))
  }

  /// Takes over the parameters, which must stay as they are until the sweeps are done.
  package func pack(_ parameters: Parameters, on pool: ThreadPool) {
    self.parameters = parameters.values.pointer
    for index in stages.indices where stages[index].gates > 0 {
      layers[index].bias = UnsafePointer(pointer(.bias(index)))
      if stages[index].cell.hasLateRow { layers[index].late_bias = UnsafePointer(pointer(.lateBias(index))) }
    }
    for (index, stage) in stages.enumerated() where stage.cell.readsOwnState {
      pool.run(Self.packPieces) { piece, _ in
        lz_sweep_pack(
          instructions.code, stage.cell.code, stage.units, stage.headSize, stage.units,
          stage.below?.units ?? 0,
          pointer(.kernel(index)), parts[index].forward, parts[index].backward, piece, Self.packPieces)
      }
    }
  }

  private func pointer(_ tensor: Tensor) -> UnsafeMutablePointer<Float> {
    guard let parameters else { preconditionFailure("a sweep without weights") }
    return parameters + shape.slice(tensor).offset
  }

  // MARK: Blocks and pieces

  private func eachBlock(_ slots: Range<Int>, _ body: (Range<Int>) -> Void) {
    for first in stride(from: slots.lowerBound, to: slots.upperBound, by: block) {
      body(first..<min(slots.upperBound, first + block))
    }
  }

  /// Pieces of a block's samples.
  private func eachPiece(of slots: Range<Int>, on pool: ThreadPool, _ body: (_ samples: Range<Int>) -> Void) {
    let samples = slots.count * streams
    pool.run((samples + Self.piece - 1) / Self.piece) { piece, _ in
      body(piece * Self.piece..<min(samples, (piece + 1) * Self.piece))
    }
  }

  /// The streams in pieces, one or more for each thread. A stream's arithmetic does not depend on the piece it is in.
  private func eachStreams(on pool: ThreadPool, _ body: (Range<Int>) -> Void) {
    let pieces = min(streams, (((streams + 31) / 32) + pool.threads - 1) / pool.threads * pool.threads)
    pool.run(pieces) { piece, _ in body(piece * streams / pieces..<(piece + 1) * streams / pieces) }
  }

  /// h of a stage behind slot `slot`.
  private func h(_ stage: Int, behind slot: Int) -> UnsafeMutablePointer<Float> {
    parts[stage].h + (slot + 1) * streams * Self.units(stages[stage])
  }

  /// The rows of a stage from slot `slot` on.
  private func rows(_ stage: Int, from slot: Int) -> UnsafeMutablePointer<Float> {
    parts[stage].rows + slot * streams * stages[stage].cell.rows * Self.units(stages[stage])
  }

  /// A stage's chain over all slots of the tape; or, of a cell that knows nothing of the past, over a block as if it were one slot of so many
  /// streams.
  private func chain(_ index: Int, asOne slots: Range<Int>?, adjoint: UnsafePointer<Float>? = nil) -> lz_chain
  {
    let (stage, part) = (stages[index], parts[index])
    let first = slots?.lowerBound ?? 0
    var chain = lz_chain()
    chain.cell = Int32(stage.cell.code.rawValue)
    chain.adds = addsOther[index] ? 1 : 0
    chain.hidden = stage.units
    chain.units = Self.units(stage)
    chain.streams = (slots?.count ?? 1) * streams
    chain.bias = layers[index].bias
    chain.table = stage.below == nil ? UnsafePointer(pointer(.table)) : nil
    chain.rows = rows(index, from: first)
    chain.after = h(index, behind: first)
    chain.before = UnsafePointer(slots == nil ? part.h : chain.after!)
    chain.others_before = UnsafePointer(part.others)
    chain.others_after = part.others + streams * chain.units
    chain.others_step = part.othersStep
    if let other = stage.other {
      chain.other = UnsafePointer(h(other, behind: first))
      chain.other_adjoint = parts[other].adjoint
    }
    chain.adjoint = adjoint
    chain.state_adjoint = part.carried
    return chain
  }

  // MARK: Forward

  /// Slots `slots` of the tape; `tokens`: [count][B].
  /// - Precondition: they begin at a multiple of the block, and are as many unless they end the window: sums do not depend on the calls.
  package func forward(_ slots: Range<Int>, tokens: UnsafePointer<UInt32>, on pool: ThreadPool) {
    eachBlock(slots) { block in
      let tokens = tokens + (block.lowerBound - slots.lowerBound) * streams
      for index in stages.indices { forward(index, block, tokens, on: pool) }
    }
  }

  private func forward(
    _ index: Int, _ slots: Range<Int>, _ tokens: UnsafePointer<UInt32>, on pool: ThreadPool
  ) {
    let stage = stages[index]
    if let source = stage.other, stage.cell.rows == 0 {
      let units = Self.units(stage)
      eachPiece(of: slots, on: pool) {
        lz_norm_rows(
          instructions.code, h(source, behind: slots.lowerBound) + $0.lowerBound * units, stage.units, units,
          $0.count, h(index, behind: slots.lowerBound) + $0.lowerBound * units)
      }
      return
    }
    let tokens = stage.below == nil ? tokens : nil
    guard stage.cell.carriesState else {
      var chain = chain(index, asOne: slots)
      eachPiece(of: slots, on: pool) {
        multiplyBelow(index, slots, $0)
        lz_chain_forward(instructions.code, &chain, tokens, 0, 1, $0.lowerBound, $0.count)
      }
      return
    }
    if stage.below != nil { eachPiece(of: slots, on: pool) { multiplyBelow(index, slots, $0) } }
    if stage.cell.readsOwnState {
      eachStreams(on: pool) {
        lz_sweep_forward(
          instructions.code, sweeps + index, nil, slots.lowerBound, slots.count, 1, $0.lowerBound, $0.count)
      }
    } else {
      var chain = chain(index, asOne: nil)
      eachStreams(on: pool) {
        lz_chain_forward(
          instructions.code, &chain, tokens, slots.lowerBound, slots.count, $0.lowerBound, $0.count)
      }
    }
  }

  /// The products of some samples of a block with what lies below.
  private func multiplyBelow(_ index: Int, _ slots: Range<Int>, _ samples: Range<Int>) {
    let stage = stages[index]
    guard let below = stage.below else { return }
    let (units, width) = (Self.units(stages[below.stage]), stage.cell.rows * Self.units(stage))
    GEMM.timesTransposed(
      m: samples.count, n: stage.gates, k: below.units,
      h(below.stage, behind: slots.lowerBound) + samples.lowerBound * units, lda: units,
      pointer(.kernel(index)), ldb: stage.inputs,
      into: rows(index, from: slots.lowerBound) + samples.lowerBound * width, ldc: width)
  }

  // MARK: Backward

  /// The way back over `slots`, of one block; `outputAdjoint`: [count][B][U] of the last stage.
  package func backward(_ slots: Range<Int>, outputAdjoint: UnsafePointer<Float>, on pool: ThreadPool) {
    precondition(slots.count <= block, "\(slots.count) tokens of \(block)")
    for index in stages.indices.reversed() {
      let adjoint = index == stages.count - 1 ? outputAdjoint : UnsafePointer(parts[index].adjoint)
      backward(index, slots, adjoint, on: pool)
    }
  }

  private func backward(
    _ index: Int, _ slots: Range<Int>, _ adjoint: UnsafePointer<Float>, on pool: ThreadPool
  ) {
    let stage = stages[index]
    if let source = stage.other, stage.cell.rows == 0 {
      let units = Self.units(stage)
      eachPiece(of: slots, on: pool) {
        let at = $0.lowerBound * units
        lz_norm_rows_backward(
          instructions.code, h(source, behind: slots.lowerBound) + at, adjoint + at, stage.units, units,
          $0.count,
          addsOther[index] ? 1 : 0, parts[source].adjoint + at)
      }
      return
    }
    guard stage.cell.carriesState else {
      var chain = chain(index, asOne: slots, adjoint: adjoint)
      eachPiece(of: slots, on: pool) {
        lz_chain_backward(instructions.code, &chain, 0, 1, $0.lowerBound, $0.count)
        returnBelow(index, slots, $0)
      }
      return
    }
    if stage.cell.readsOwnState {
      eachStreams(on: pool) {
        lz_sweep_backward(
          instructions.code, sweeps + index, adjoint, slots.lowerBound, slots.count, $0.lowerBound, $0.count)
      }
    } else {
      var chain = chain(index, asOne: nil, adjoint: adjoint)
      eachStreams(on: pool) {
        lz_chain_backward(
          instructions.code, &chain, slots.lowerBound, slots.count, $0.lowerBound, $0.count)
      }
    }
    eachPiece(of: slots, on: pool) { returnBelow(index, slots, $0) }
  }

  /// ∂ of what lies below, from ∂ of the rows of some samples.
  private func returnBelow(_ index: Int, _ slots: Range<Int>, _ samples: Range<Int>) {
    let stage = stages[index]
    guard let below = stage.below else { return }
    let (units, width) = (Self.units(stages[below.stage]), stage.cell.rows * Self.units(stage))
    GEMM.times(
      m: samples.count, n: below.units, k: stage.gates,
      rows(index, from: slots.lowerBound) + samples.lowerBound * width, lda: width, pointer(.kernel(index)),
      ldb: stage.inputs, into: parts[below.stage].adjoint + samples.lowerBound * units, ldc: units,
      keep: addsBelow[index] ? 1 : 0)
  }
}
