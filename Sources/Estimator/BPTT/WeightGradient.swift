import LongzooMemory
import LongzooModel

/// Sums the gradient of kernels, biases and token table over a block of tokens, once ∂gates are on the tape.
///
/// Cut into fixed jobs that write to different places, so any thread may take any of them.
struct WeightGradient {
  private enum Job {
    case kernel(layer: Int, rows: Range<Int>)
    /// With the token table for layer 0.
    case bias(layer: Int, rows: Range<Int>)
  }

  private let plan: BPTTPlan
  private let instructions: Instructions
  private let jobs: [Job]

  private static let biasPanel = 128

  init(_ plan: BPTTPlan, instructions: Instructions) {
    self.plan = plan
    self.instructions = instructions
    let gates = 4 * plan.shape.hiddenSize
    // Few panels: each GEMM packs all of the block's states for itself.
    let kernelPanel = max(64, (plan.shape.hiddenSize + 15) / 16 * 16)
    var jobs: [Job] = []
    for layer in 0..<plan.shape.layers {
      jobs += Self.panels(gates, kernelPanel).map { .kernel(layer: layer, rows: $0) }
    }
    for layer in 0..<plan.shape.layers {
      jobs += Self.panels(gates, Self.biasPanel).map { .bias(layer: layer, rows: $0) }
    }
    self.jobs = jobs
  }

  private static func panels(_ count: Int, _ size: Int) -> [Range<Int>] {
    stride(from: 0, to: count, by: size).map { $0..<min(count, $0 + size) }
  }

  var jobCount: Int { jobs.count }

  /// - Parameter tokens: those of the slots, [slots][B].
  func run(
    _ index: Int, tape: Tape, slots: Range<Int>, tokens: UnsafePointer<UInt32>,
    into gradient: UnsafeMutablePointer<Float>
  ) {
    let shape = plan.shape
    let samples = slots.count * plan.streams
    switch jobs[index] {
    case .kernel(let layer, let rows):
      let inputs = shape.inputs(ofLayer: layer)
      let to = gradient + shape.slice(.kernel(layer)).offset
      let delta = tape.gates(layer, slot: slots.lowerBound)
      func add(_ rows: Range<Int>, _ states: UnsafePointer<Float>, columns: Int, at column: Int) {
        GEMM.transposedTimes(
          m: rows.count, n: columns, k: samples, delta + rows.lowerBound, lda: 4 * plan.units, states,
          ldb: plan.units, into: to + rows.lowerBound * inputs + column, ldc: inputs, accumulate: true)
      }
      // Above the first layer the columns are: the state below at the same token, then the own head's state before it.
      let below = layer == 0 ? 0 : shape.hiddenSize
      if layer > 0 { add(rows, tape.h(layer - 1, slot: slots.lowerBound + 1), columns: below, at: 0) }
      for head in rows.lowerBound / (4 * shape.headSize)...(rows.upperBound - 1) / (4 * shape.headSize) {
        let own = rows.clamped(to: head * 4 * shape.headSize..<(head + 1) * 4 * shape.headSize)
        add(
          own, tape.h(layer, slot: slots.lowerBound) + head * shape.headSize, columns: shape.headSize,
          at: below)
      }
    case .bias(let layer, let rows):
      instructions.addRows(
        tape.gates(layer, slot: slots.lowerBound) + rows.lowerBound, stride: 4 * plan.units, rows: samples,
        columns: rows.count, to: gradient + shape.slice(.bias(layer)).offset + rows.lowerBound,
        targets: layer == 0 ? tokens : nil,
        table: layer == 0 ? gradient + shape.slice(.table).offset + rows.lowerBound : nil,
        tableStride: 4 * shape.hiddenSize)
    }
  }
}
