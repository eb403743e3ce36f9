import LongzooMemory
import LongzooModel

/// What a gradient of weights is summed over: samples of a tape, tokens and streams, that lie together.
struct GradientSamples {
  var count: Int
  /// ∂ of the rows; the same where late rows are ∂ of their product with the own state, or ∂ of the scalars; and h; of all stages.
  var rows: UnsafePointer<Float>
  var apart: UnsafePointer<Float>
  var h: UnsafePointer<Float>
  /// Where the stages begin in them.
  var places: Tape.Places
  /// The first sample, in the order of the rows.
  var first: Int
  /// The first sample's h before the token, and after it, in the order of h.
  var before: Int
  var after: Int
  /// The tokens that were read.
  var tokens: UnsafePointer<UInt32>
}

/// Sums the gradient of kernels, biases and token table over a block of tokens, once ∂gates are on the tape.
///
/// Cut into fixed jobs that write to different places, so any thread may take any of them.
struct WeightGradient {
  private enum Job {
    case kernel(stage: Int, rows: Range<Int>)
    /// With the token table for the first stage.
    case bias(stage: Int, rows: Range<Int>)
    case scalars(stage: Int)
  }

  private let plan: BPTTPlan
  private let instructions: Instructions
  private let jobs: [Job]

  private static let biasPanel = 128

  init(_ plan: BPTTPlan, instructions: Instructions) {
    self.plan = plan
    self.instructions = instructions
    let stages = (0..<plan.shape.stageCount).map { ($0, plan.shape.stage($0)) }
    var jobs: [Job] = []
    for (index, stage) in stages where stage.inputs > 0 {
      jobs += Self.panels(stage.gates, Self.kernelPanel(stage)).map { .kernel(stage: index, rows: $0) }
    }
    for (index, stage) in stages {
      jobs += Self.panels(stage.gates, Self.biasPanel).map { .bias(stage: index, rows: $0) }
      if !stage.cell.scalars.isEmpty { jobs.append(.scalars(stage: index)) }
    }
    self.jobs = jobs
  }

  /// Few panels: each GEMM packs all of the block's states for itself.
  private static func kernelPanel(_ stage: Stage) -> Int { max(64, StagedSweep.units(stage)) }

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
    case .kernel(let stage, let rows):
      sumKernel(stage, rows, samples, into: gradient + first(ofKernel: stage, rows), accumulate: true)
    case .bias(let stage, let rows):
      let (shape, width) = (plan.shape, plan.shape.stage(0).gates)
      instructions.addRows(
        self.rows(of: stage, samples) + rows.lowerBound, stride: plan.rowUnits(ofStage: stage),
        rows: samples.count, columns: rows.count,
        to: gradient + shape.slice(.bias(stage)).offset + rows.lowerBound,
        targets: stage == 0 ? tokens : nil,
        table: stage == 0 ? gradient + shape.slice(.table).offset + rows.lowerBound : nil, tableStride: width)
    case .scalars(let stage):
      sumScalars(stage, samples, into: gradient + plan.shape.slice(.scalars(stage)).offset)
    }
  }

  // MARK: Samples

  /// ∂ of a stage's rows, [GU] a sample.
  private func rows(of stage: Int, _ samples: GradientSamples) -> UnsafePointer<Float> {
    samples.rows + samples.places.rows[stage] + samples.first * plan.rowUnits(ofStage: stage)
  }

  /// ∂ of a stage's rows, of which a late one is ∂ of its product with the own state.
  private func ownRows(of stage: Int, _ samples: GradientSamples) -> UnsafePointer<Float> {
    guard plan.shape.stage(stage).cell.hasLateRow else { return rows(of: stage, samples) }
    return apart(of: stage, samples)
  }

  private func apart(of stage: Int, _ samples: GradientSamples) -> UnsafePointer<Float> {
    samples.apart + samples.places.apart[stage] + samples.first * plan.apartUnits(ofStage: stage)
  }

  /// h of a stage, [U] a sample, from one on.
  private func h(of stage: Int, _ samples: GradientSamples, from first: Int) -> UnsafePointer<Float> {
    samples.h + samples.places.hidden[stage] + first * plan.units(ofStage: stage)
  }

  private func sumScalars(
    _ index: Int, _ samples: GradientSamples, into to: UnsafeMutablePointer<Float>
  ) {
    let stage = plan.shape.stage(index)
    guard stage.cell.hasLateRow else {
      instructions.addRows(
        apart(of: index, samples), stride: plan.apartUnits(ofStage: index), rows: samples.count,
        columns: stage.scalarCount, to: to)
      return
    }
    let rows = stage.cell.rows
    var from = ownRows(of: index, samples) + rows - 1
    for _ in 0..<samples.count {
      for unit in 0..<stage.units { to[unit] += from[rows * unit] }
      from += plan.rowUnits(ofStage: index)
    }
  }

  private func first(ofKernel stage: Int, _ rows: Range<Int>) -> Int {
    let slice = plan.shape.slice(.kernel(stage))
    return slice.offset + rows.lowerBound * slice.columns
  }

  /// Rows of a kernel's gradient, [rows][inputs].
  private func sumKernel(
    _ index: Int, _ rows: Range<Int>, _ samples: GradientSamples, into to: UnsafeMutablePointer<Float>,
    accumulate: Bool
  ) {
    let stage = plan.shape.stage(index)
    func add(
      _ delta: UnsafePointer<Float>, _ part: Range<Int>, _ h: UnsafePointer<Float>, stride: Int, columns: Int,
      at column: Int
    ) {
      GEMM.transposedTimes(
        m: part.count, n: columns, k: samples.count, delta + part.lowerBound,
        lda: plan.rowUnits(ofStage: index), h, ldb: stride,
        into: to + (part.lowerBound - rows.lowerBound) * stage.inputs + column, ldc: stage.inputs,
        accumulate: accumulate)
    }
    // The columns are the h of other stages at the same token, then the own head's state before it.
    stage.eachSource { source, column in
      add(
        self.rows(of: index, samples), rows, h(of: source.stage, samples, from: samples.after),
        stride: plan.units(ofStage: source.stage), columns: source.units, at: column)
    }
    guard stage.cell.readsOwnState else { return }
    let gates = stage.cell.rows * stage.headSize
    let own = h(of: index, samples, from: samples.before)
    for head in rows.lowerBound / gates...(rows.upperBound - 1) / gates {
      add(
        ownRows(of: index, samples), rows.clamped(to: head * gates..<(head + 1) * gates),
        own + head * stage.headSize, stride: plan.units(ofStage: index), columns: stage.headSize,
        at: stage.read)
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
    let widest = (0..<shape.stageCount).reduce(biasPanel) {
      let stage = shape.stage($1)
      return max($0, min(stage.gates, kernelPanel(stage)) * stage.inputs)
    }
    return (widest + 15) / 16 * 16
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
      case .kernel(let stage, let rows):
        sumKernel(stage, rows, samples, into: room, accumulate: false)
        add(
          room, count: rows.count * shape.stage(stage).inputs, to: gradient + first(ofKernel: stage, rows))
      case .bias(let stage, let rows):
        room.update(repeating: 0, count: rows.count)
        if stage == 0 {
          sumTokens(rows, samples, room, into: gradient + shape.slice(.table).offset)
        } else {
          instructions.addRows(
            self.rows(of: stage, samples) + rows.lowerBound, stride: plan.rowUnits(ofStage: stage),
            rows: samples.count, columns: rows.count, to: room)
        }
        add(room, count: rows.count, to: gradient + shape.slice(.bias(stage)).offset + rows.lowerBound)
      case .scalars: preconditionFailure("the rows of a population move no scalars")
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
        self.rows(of: 0, samples) + first, stride: plan.rowUnits(ofStage: 0), rows: samples.count,
        columns: count,
        to: room + first - rows.lowerBound, targets: samples.tokens, table: table, tableStride: panel)
      instructions.takeRows(
        table, stride: panel, rows: samples.count, columns: count, targets: samples.tokens,
        to: gradient + first, tableStride: plan.shape.stage(0).gates)
    }
  }
}
