import LongzooMemory
import LongzooModel

/// The readout over a block of tokens: logits, softmax, loss, ∂h, and the readout's gradient.
///
/// The logits of a block are there only while it is worked on, and only so many rows of them as fit 4 MiB; nothing of
/// the readout is kept for the way back or computed twice.
final class ReadoutSweep {
  private let plan: BPTTPlan
  private let instructions: Instructions
  private let logits: Buffer<Float>  // [logitRows][logitStride], then p − y
  private let losses: Buffer<Double>  // [pieces]
  /// ∂h of the last layer, [blockTokens][B][U].
  let adjoint: Buffer<Float>

  /// Rows of one GEMM, and of the gradient; fixed, so that results do not depend on the threads.
  private static let piece = 128

  static func byteCount(for plan: BPTTPlan) -> Int { Rooms(plan).table.total }

  private struct Rooms {
    let logits: Room<Float>
    let losses: Room<Double>
    let adjoint: Room<Float>
    let table: MemoryTable

    init(_ plan: BPTTPlan) {
      var table = MemoryTable()
      logits = table.add(plan.logitRows * plan.logitStride, .activations, for: "the logits of a block")
      losses = table.add((plan.logitRows + piece - 1) / piece, .activations, for: "the losses of a block")
      adjoint = table.add(plan.blockRows * plan.topUnits, .activations, for: "the readout's derivatives")
      self.table = table
    }
  }

  init(_ plan: BPTTPlan, instructions: Instructions, ledger: MemoryLedger) throws(MemoryError) {
    self.plan = plan
    self.instructions = instructions
    let rooms = Rooms(plan)
    logits = try rooms.logits.buffer(ledger)
    losses = try rooms.losses.buffer(ledger)
    adjoint = try rooms.adjoint.buffer(ledger)
  }

  /// A block of rows: states, targets, and where the gradient goes.
  struct Rows {
    var h: UnsafePointer<Float>
    var targets: UnsafePointer<UInt32>
    var count: Int
    var scale: Float
    var parameters: Parameters
    var gradient: UnsafeMutablePointer<Float>
  }

  /// Fills `adjoint`, adds to the gradient all but the last stretch of rows, and returns the sum of the losses in nats.
  /// The last stretch is left to `gradientJobs`, which can run beside other work.
  func run(_ rows: Rows, on pool: ThreadPool) -> (loss: Double, rest: Range<Int>) {
    var loss = 0.0
    var first = 0
    while true {
      let stretch = first..<min(rows.count, first + plan.logitRows)
      loss += forwardAndBack(rows, stretch, on: pool)
      if stretch.upperBound == rows.count { return (loss, stretch) }
      pool.run(gradientJobs) { job, _ in addGradient(job, rows, stretch) }
      first = stretch.upperBound
    }
  }

  private func forwardAndBack(_ rows: Rows, _ stretch: Range<Int>, on pool: ThreadPool) -> Double {
    let shape = plan.shape
    let weights = rows.parameters.pointer(shape.slice(.readout))
    let bias = rows.parameters.pointer(shape.slice(.readoutBias))
    let pieces = (stretch.count + Self.piece - 1) / Self.piece
    pool.run(pieces) { piece, _ in
      let at = piece * Self.piece
      let count = min(Self.piece, stretch.count - at)
      let row = stretch.lowerBound + at
      let x = logits.pointer + at * plan.logitStride
      GEMM.timesTransposed(
        m: count, n: shape.vocabularySize, k: shape.readoutInputs, rows.h + row * plan.topUnits,
        lda: plan.topUnits,
        weights, ldb: shape.readoutInputs, into: x, ldc: plan.logitStride)
      losses[piece] = instructions.softmaxRows(
        x, stride: plan.logitStride, rows: count, vocabulary: shape.vocabularySize, bias: bias,
        targets: rows.targets + row, scale: rows.scale)
      GEMM.times(
        m: count, n: shape.readoutInputs, k: shape.vocabularySize, x, lda: plan.logitStride, weights,
        ldb: shape.readoutInputs, into: adjoint.pointer + row * plan.topUnits, ldc: plan.topUnits)
    }
    return (0..<pieces).reduce(0) { $0 + losses[$1] }
  }

  /// The number of jobs that the gradient of a stretch is cut into.
  var gradientJobs: Int { (plan.shape.vocabularySize + Self.piece - 1) / Self.piece }

  /// Adds the gradient of some rows of the readout and its bias over a stretch.
  func addGradient(_ job: Int, _ rows: Rows, _ stretch: Range<Int>) {
    let shape = plan.shape
    let first = job * Self.piece
    let count = min(Self.piece, shape.vocabularySize - first)
    GEMM.transposedTimes(
      m: count, n: shape.readoutInputs, k: stretch.count, logits.pointer + first, lda: plan.logitStride,
      rows.h + stretch.lowerBound * plan.topUnits, ldb: plan.topUnits,
      into: rows.gradient + shape.slice(.readout).offset + first * shape.readoutInputs,
      ldc: shape.readoutInputs,
      accumulate: true)
    instructions.addRows(
      logits.pointer + first, stride: plan.logitStride, rows: stretch.count, columns: count,
      to: rows.gradient + shape.slice(.readoutBias).offset + first)
  }
}
