import LongzooMemory
import LongzooModel

extension BPTT {
  /// Runs the state in slot 0 of the tape through these tokens of the window.
  func forward(_ segment: Range<Int>, keep: Bool) {
    let stretch = min(segment.count, work.piece(of: plan))
    for first in stride(from: 0, to: segment.count, by: stretch) {
      let slots = first..<min(segment.count, first + stretch)
      guard work.mayGoOn(slots.count) else { return }
      let tokens = tokens.pointer + (segment.lowerBound + first) * plan.streams
      sweep.forward(slots, tokens: tokens, keep: keep, on: pool)
    }
  }

  /// The way back over a segment that is on the tape, block by block. The losses of each block are added to `loss` by
  /// themselves: sums of segments would depend on the schedule.
  func reverse(_ segment: Range<Int>, windowTargets: Int, weights: Parameters, loss: inout Double) {
    let block = BPTTPlan.blockTokens
    for index in (0..<(segment.count + block - 1) / block).reversed() {
      let slots = index * block..<min(segment.count, (index + 1) * block)
      guard work.mayGoOn(BPTTWork.backward * slots.count) else { return }
      loss += reverse(
        slots, tokens: tokens.pointer + (segment.lowerBound + slots.lowerBound) * plan.streams,
        windowTargets: windowTargets, weights: weights)
    }
  }

  private func reverse(
    _ slots: Range<Int>, tokens: UnsafePointer<UInt32>, windowTargets: Int, weights: Parameters
  ) -> Double {
    let rows = ReadoutSweep.Rows(
      h: tape.h(plan.shape.stageCount - 1, slot: slots.lowerBound + 1), targets: tokens + plan.streams,
      count: slots.count * plan.streams, scale: 1 / Float(windowTargets), parameters: weights,
      gradient: gradient.pointer)
    let (loss, rest) = readout.run(rows, on: pool)
    sweep.backward(slots, outputAdjoint: readout.adjoint.pointer, on: pool)
    let jobs = weightGradient.jobCount
    pool.run(jobs + readout.gradientJobs) { job, _ in
      if job < jobs {
        weightGradient.run(job, tape: tape, slots: slots, tokens: tokens, into: gradient.pointer)
      } else {
        readout.addGradient(job - jobs, rows, rest)
      }
    }
    return loss
  }
}
