import LongzooMemory
import LongzooModel

/// What a gradient of weights is summed over: rows of ∂gates and of states, tokens and streams, that lie together.
struct GradientSamples {
  var count: Int
  /// ∂gates of the first layer, [GU] a sample, and of the layers above.
  var gates: UnsafePointer<Float>
  /// The same where late rows are ∂ of their product with the own state; else `gates`.
  var ownGates: UnsafePointer<Float>
  var gatesOfLayer: Int
  /// h before the tokens and after them, [U] a sample.
  var before: UnsafePointer<Float>
  var after: UnsafePointer<Float>
  var statesOfLayer: Int
  /// The tokens that were read.
  var tokens: UnsafePointer<UInt32>
}

/// Sums the gradient of kernels, biases and token table over a block of tokens, once ∂gates are on the tape.
///
/// Cut into fixed jobs that write to different places, so any thread may take any of them.
struct WeightGradient {
  private enum Job {
    case kernel(layer: Int, rows: Range<Int>)
    /// With the token table for layer 0.
    case bias(layer: Int, rows: Range<Int>)
    case lateBias(layer: Int)
  }

  private let plan: BPTTPlan
  private let instructions: Instructions
  private let jobs: [Job]

  private static let biasPanel = 128

  init(_ plan: BPTTPlan, instructions: Instructions) {
    self.plan = plan
    self.instructions = instructions
    let gates = plan.shape.stage(0).gates
    let kernelPanel = Self.kernelPanel(plan.shape)
    var jobs: [Job] = []
    for layer in 0..<plan.shape.layers {
      jobs += Self.panels(gates, kernelPanel).map { .kernel(layer: layer, rows: $0) }
    }
    for layer in 0..<plan.shape.layers {
      jobs += Self.panels(gates, Self.biasPanel).map { .bias(layer: layer, rows: $0) }
      if plan.shape.cell.hasLateRow { jobs.append(.lateBias(layer: layer)) }
    }
    self.jobs = jobs
  }

  /// Few panels: each GEMM packs all of the block's states for itself.
  private static func kernelPanel(_ shape: ModelShape) -> Int { max(64, (shape.hiddenSize + 15) / 16 * 16) }

  private static func panels(_ count: Int, _ size: Int) -> [Range<Int>] {
    stride(from: 0, to: count, by: size).map { $0..<min(count, $0 + size) }
  }

  var jobCount: Int { jobs.count }

  /// - Parameter tokens: those of the slots, [slots][B].
  func run(
    _ index: Int, tape: Tape, slots: Range<Int>, tokens: UnsafePointer<UInt32>,
    into gradient: UnsafeMutablePointer<Float>
  ) {
    let samples = tape.samples(slots: slots, tokens: tokens)
    switch jobs[index] {
    case .kernel(let layer, let rows):
      let to = gradient + first(ofKernel: layer, rows)
      sumKernel(layer, rows, samples, into: to, accumulate: true)
    case .bias(let layer, let rows):
      let shape = plan.shape
      instructions.addRows(
        samples.gates + layer * samples.gatesOfLayer + rows.lowerBound, stride: plan.gateUnits,
        rows: samples.count, columns: rows.count,
        to: gradient + shape.slice(.bias(layer)).offset + rows.lowerBound,
        targets: layer == 0 ? tokens : nil,
        table: layer == 0 ? gradient + shape.slice(.table).offset + rows.lowerBound : nil,
        tableStride: shape.stage(0).gates)
    case .lateBias(let layer):
      sumLateBias(layer, samples, into: gradient + plan.shape.slice(.lateBias(layer)).offset)
    }
  }

  private func sumLateBias(
    _ layer: Int, _ samples: GradientSamples, into to: UnsafeMutablePointer<Float>
  ) {
    let rows = plan.shape.cell.rows
    var from = samples.ownGates + layer * samples.gatesOfLayer + rows - 1
    for _ in 0..<samples.count {
      for unit in 0..<plan.shape.hiddenSize { to[unit] += from[rows * unit] }
      from += plan.gateUnits
    }
  }

  private func first(ofKernel layer: Int, _ rows: Range<Int>) -> Int {
    let slice = plan.shape.slice(.kernel(layer))
    return slice.offset + rows.lowerBound * slice.columns
  }

  /// Rows of a kernel's gradient, [rows][inputs].
  private func sumKernel(
    _ layer: Int, _ rows: Range<Int>, _ samples: GradientSamples, into to: UnsafeMutablePointer<Float>,
    accumulate: Bool
  ) {
    let shape = plan.shape
    let inputs = shape.stage(layer).inputs
    let delta = samples.gates + layer * samples.gatesOfLayer
    let ownDelta = samples.ownGates + layer * samples.gatesOfLayer
    let gates = shape.cell.rows * shape.headSize
    func add(
      _ delta: UnsafePointer<Float>, _ part: Range<Int>, _ states: UnsafePointer<Float>, columns: Int,
      at column: Int
    ) {
      GEMM.transposedTimes(
        m: part.count, n: columns, k: samples.count, delta + part.lowerBound, lda: plan.gateUnits, states,
        ldb: plan.units, into: to + (part.lowerBound - rows.lowerBound) * inputs + column, ldc: inputs,
        accumulate: accumulate)
    }
    // Above the first layer the columns are: the state below at the same token, then the own head's state before it.
    let below = layer == 0 ? 0 : shape.hiddenSize
    if layer > 0 {
      add(delta, rows, samples.after + (layer - 1) * samples.statesOfLayer, columns: below, at: 0)
    }
    for head in rows.lowerBound / gates...(rows.upperBound - 1) / gates {
      let own = rows.clamped(to: head * gates..<(head + 1) * gates)
      add(
        ownDelta, own, samples.before + layer * samples.statesOfLayer + head * shape.headSize,
        columns: shape.headSize,
        at: below)
    }
  }
}

/// Where samples are those of a population: each tile's sum over all of its tokens is made apart, and the sums are added to the gradient in
/// the order of tiles.
extension WeightGradient {
  /// Columns of the token table that are summed at once: the sum of a tile has all tokens' rows.
  private static let tablePanel = 16

  /// Floats of a thread's room: a panel of a tile's sum, then rows of the token table, which are zeros between two tiles.
  static func tileFloats(_ shape: ModelShape) -> Int {
    panelFloats(shape) + shape.vocabularySize * tablePanel
  }

  private static func panelFloats(_ shape: ModelShape) -> Int {
    let widest = (0..<shape.layers).reduce(0) { max($0, shape.stage($1).inputs) }
    let rows = min(shape.stage(0).gates, kernelPanel(shape))
    return (max(biasPanel, rows * widest) + 15) / 16 * 16
  }

  /// Runs a job for all tiles, one after the other.
  /// - Parameter room: the thread's, [tileFloats], of zeros at first.
  func run(
    _ index: Int, tiles: Int, room: UnsafeMutablePointer<Float>, into gradient: UnsafeMutablePointer<Float>,
    _ samples: (_ tile: Int) -> GradientSamples
  ) {
    let shape = plan.shape
    for tile in 0..<tiles {
      let samples = samples(tile)
      switch jobs[index] {
      case .kernel(let layer, let rows):
        sumKernel(layer, rows, samples, into: room, accumulate: false)
        add(
          room, count: rows.count * shape.stage(layer).inputs, to: gradient + first(ofKernel: layer, rows))
      case .bias(let layer, let rows):
        room.update(repeating: 0, count: rows.count)
        if layer == 0 {
          sumTokens(rows, samples, room, into: gradient + shape.slice(.table).offset)
        } else {
          instructions.addRows(
            samples.gates + layer * samples.gatesOfLayer + rows.lowerBound, stride: plan.gateUnits,
            rows: samples.count, columns: rows.count, to: room)
        }
        add(room, count: rows.count, to: gradient + shape.slice(.bias(layer)).offset + rows.lowerBound)
      case .lateBias: preconditionFailure("the rows of a population move no late bias apart")
      }
    }
  }

  private func add(_ from: UnsafePointer<Float>, count: Int, to: UnsafeMutablePointer<Float>) {
    for i in 0..<count { to[i] += from[i] }
  }

  /// The sum of all tokens, the bias', stays in the room; those of each token are added to the table.
  private func sumTokens(
    _ rows: Range<Int>, _ samples: GradientSamples, _ room: UnsafeMutablePointer<Float>,
    into gradient: UnsafeMutablePointer<Float>
  ) {
    let panel = Self.tablePanel
    let table = room + Self.panelFloats(plan.shape)
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: panel) {
      let count = min(panel, rows.upperBound - first)
      instructions.addRows(
        samples.gates + first, stride: plan.gateUnits, rows: samples.count, columns: count,
        to: room + first - rows.lowerBound, targets: samples.tokens, table: table, tableStride: panel)
      instructions.takeRows(
        table, stride: panel, rows: samples.count, columns: count, targets: samples.tokens,
        to: gradient + first, tableStride: plan.shape.stage(0).gates)
    }
  }
}
