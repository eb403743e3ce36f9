import LongzooMemory
import LongzooModel

/// The way through a tape and back: token by token for plain recurrent layers, else stage by stage.
enum Sweep {
  case woven(ExactSweep)
  case staged(StagedSweep)

  init(
    _ plan: BPTTPlan, _ tape: Tape, packed: UnsafeMutablePointer<Float>,
    adjoints: UnsafeMutablePointer<Float>,
    instructions: Instructions
  ) {
    var (packed, adjoints) = (packed, adjoints)
    let parts = (0..<plan.shape.stageCount).map { stage in
      let floats = plan.packedFloats(ofStage: stage)
      let read = plan.adjointCount(ofStage: stage)
      defer {
        packed += floats.forward + floats.backward
        adjoints += read + plan.carriedCount(ofStage: stage)
      }
      return StagedSweep.Part(
        h: tape.h(stage), others: tape.others(stage), othersStep: tape.othersStep(stage),
        rows: tape.rows(stage),
        apart: plan.apartUnits(ofStage: stage) > 0 ? tape.apart(stage) : nil, adjoint: adjoints,
        carried: adjoints + read, forward: packed, backward: packed + floats.forward)
    }
    self =
      plan.isStaged
      ? .staged(
        StagedSweep(
          plan.shape, streams: plan.streams, block: BPTTPlan.blockTokens, parts: parts,
          instructions: instructions))
      : .woven(ExactSweep(plan.shape, streams: plan.streams, parts: parts, instructions: instructions))
  }

  /// Takes over the parameters, which must stay as they are until the sweeps are done.
  func pack(_ parameters: Parameters, on pool: ThreadPool) {
    switch self {
    case .woven(let sweep): sweep.pack(parameters, on: pool)
    case .staged(let sweep): sweep.pack(parameters, on: pool)
    }
  }

  /// Slots `slots` of the tape; `tokens`: [count][B].
  /// - Parameter keep: whether the way back will need these slots.
  func forward(_ slots: Range<Int>, tokens: UnsafePointer<UInt32>, keep: Bool, on pool: ThreadPool) {
    switch self {
    case .woven(let sweep): sweep.forward(slots, tokens: tokens, keep: keep, on: pool)
    case .staged(let sweep): sweep.forward(slots, tokens: tokens, on: pool)
    }
  }

  /// The way back over the slots of a block; `outputAdjoint`: [count][B][U] of the last stage.
  func backward(_ slots: Range<Int>, outputAdjoint: UnsafePointer<Float>, on pool: ThreadPool) {
    switch self {
    case .woven(let sweep): sweep.backward(slots, outputAdjoint: outputAdjoint, on: pool)
    case .staged(let sweep): sweep.backward(slots, outputAdjoint: outputAdjoint, on: pool)
    }
  }

  /// ∂ of a state before the last slot that the way back took, of one stage and stream; part 0 is h.
  func stateAdjoint(stage: Int, part: Int, stream: Int) -> UnsafePointer<Float> {
    switch self {
    case .woven(let sweep): sweep.stateAdjoint(layer: stage, part: part, stream: stream)
    case .staged(let sweep): sweep.stateAdjoint(stage: stage, part: part, stream: stream)
    }
  }
}
