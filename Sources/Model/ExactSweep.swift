import CLongzooKernels

/// One model of plain recurrent layers over many streams, forward through a stretch of tokens and backward again: what the exact gradient
/// is made of. For other models there is `StagedSweep`.
///
/// It owns no memory: the pointers are the caller's, laid out as the head of `CKernels/include/sweep.h` says.
package final class ExactSweep {
  private let shape: ModelShape
  private let instructions: Instructions
  private let layers: UnsafeMutablePointer<lz_sweep_layer>
  private let sweep: UnsafeMutablePointer<lz_sweep>

  /// Columns of a layer's packed matrix: the state below, above the first layer, and all of the own state.
  package static func inputs(_ shape: ModelShape, layer: Int) -> Int {
    layer == 0 ? shape.hiddenSize : 2 * shape.hiddenSize
  }

  /// Floats of a layer's packed matrices.
  package static func packedFloats(_ shape: ModelShape, layer: Int) -> (forward: Int, backward: Int) {
    let inputs = inputs(shape, layer: layer)
    return (
      lz_sweep_forward_floats(shape.cell.code, shape.hiddenSize, inputs),
      lz_sweep_backward_floats(shape.cell.code, shape.hiddenSize, inputs)
    )
  }

  /// - Parameter parts: a layer's adjoint, which is none for the first, and what is carried follow one another.
  package init(
    _ shape: ModelShape, streams: Int, parts: [StagedSweep.Part], instructions: Instructions
  ) {
    precondition(parts.count == shape.layers, "\(parts.count) parts of \(shape.layers)")
    self.shape = shape
    self.instructions = instructions
    let units = StagedSweep.units(shape.stage(0))
    layers = .allocate(capacity: parts.count)
    for (index, part) in parts.enumerated() {
      // Both inputs' derivatives of a stream lie side by side, those of the layer below first.
      let inputs = index == 0 ? streams * units : 2 * streams * units
      let others = part.adjoint + inputs
      let row = lz_sweep_layer(
        inputs: Self.inputs(shape, layer: index), bias: nil, late_bias: nil, forward: part.forward,
        backward: part.backward, h: part.h, others: part.others, others_step: part.othersStep,
        gates: part.rows,
        late: part.apart, input_adjoint: part.adjoint, state_adjoint: others,
        direct: part.apart == nil ? nil : others + (shape.cell.states - 1) * streams * units)
      (layers + index).initialize(to: row)
    }
    sweep = .allocate(capacity: 1)
    sweep.initialize(
      to: lz_sweep(
        hidden: shape.hiddenSize, units: units, streams: streams, layers: shape.layers,
        cell: Int32(shape.cell.code.rawValue), prepared: 0, table: nil, layer: UnsafePointer(layers)))
  }

  /// ∂ of a state of a layer and stream before the last slot that the way back took; part 0 is h.
  package func stateAdjoint(layer: Int, part: Int, stream: Int) -> UnsafePointer<Float> {
    let (units, from) = (sweep.pointee.units, layers[layer])
    if part == 0 { return UnsafePointer(from.input_adjoint + (layer == 0 ? stream : 2 * stream + 1) * units) }
    let row = (part - 1) * sweep.pointee.streams + stream
    return UnsafePointer(from.state_adjoint + row * units)
  }

  deinit {
    layers.deallocate()
    sweep.deallocate()
  }

  private static let packPieces = 8

  /// Takes over the parameters, which must stay as they are until the sweeps are done.
  package func pack(_ parameters: Parameters, on pool: ThreadPool) {
    sweep.pointee.table = UnsafePointer(parameters.pointer(shape.slice(.table)))
    for layer in 0..<shape.layers {
      layers[layer].bias = UnsafePointer(parameters.pointer(shape.slice(.bias(layer))))
      guard shape.cell.hasLateRow else { continue }
      layers[layer].late_bias = UnsafePointer(parameters.pointer(shape.slice(.scalars(layer))))
    }
    pool.run(shape.layers * Self.packPieces) { task, _ in
      let (index, piece) = (task / Self.packPieces, task % Self.packPieces)
      let layer = layers[index]
      lz_sweep_pack(
        instructions.code, shape.cell.code, shape.hiddenSize, shape.headSize, layer.inputs, 0,
        parameters.pointer(shape.slice(.kernel(index))),
        UnsafeMutablePointer(mutating: layer.forward), UnsafeMutablePointer(mutating: layer.backward), piece,
        Self.packPieces)
    }
  }

  /// Slots `slots` of the tape; `tokens`: [count][B].
  /// - Parameter keep: whether the way back will need these slots.
  package func forward(_ slots: Range<Int>, tokens: UnsafePointer<UInt32>, keep: Bool, on pool: ThreadPool) {
    pool.runStreams(sweep.pointee.streams) {
      lz_sweep_forward(
        instructions.code, sweep, tokens, slots.lowerBound, slots.count, keep ? 1 : 0, $0.lowerBound, $0.count
      )
    }
  }

  /// The way back over `slots`; `outputAdjoint`: [count][B][U].
  package func backward(_ slots: Range<Int>, outputAdjoint: UnsafePointer<Float>, on pool: ThreadPool) {
    pool.runStreams(sweep.pointee.streams) {
      lz_sweep_backward(
        instructions.code, sweep, outputAdjoint, slots.lowerBound, slots.count, $0.lowerBound, $0.count)
    }
  }
}

extension ThreadPool {
  /// The streams of a sweep in pieces, one or more for each thread. A stream's arithmetic does not depend on the piece it is in.
  func runStreams(_ streams: Int, _ body: (Range<Int>) -> Void) {
    let pieces = min(streams, (((streams + 31) / 32) + threads - 1) / threads * threads)
    run(pieces) { piece, _ in body(piece * streams / pieces..<(piece + 1) * streams / pieces) }
  }
}

extension Instructions {
  /// Logits (without bias) become scale·(softmax − target); the sum of the losses in nats.
  package func softmaxRows(
    _ logits: UnsafeMutablePointer<Float>, stride: Int, rows: Int, vocabulary: Int,
    bias: UnsafePointer<Float>, targets: UnsafePointer<UInt32>, scale: Float
  ) -> Double {
    lz_softmax_rows(code, logits, stride, rows, vocabulary, bias, targets, scale)
  }

  /// Adds every row to `sum`, and to row targets[row] of `table` if there is one, in the order of the rows.
  package func addRows(
    _ from: UnsafePointer<Float>, stride: Int, rows: Int, columns: Int, to sum: UnsafeMutablePointer<Float>,
    targets: UnsafePointer<UInt32>? = nil, table: UnsafeMutablePointer<Float>? = nil, tableStride: Int = 0
  ) {
    lz_add_rows(code, from, stride, rows, columns, sum, targets, table, tableStride)
  }

  /// Adds row targets[i] of `from` to that of `table` and clears it, for `rows` rows i: one that comes again finds zeros.
  package func takeRows(
    _ from: UnsafeMutablePointer<Float>, stride: Int, rows: Int, columns: Int, targets: UnsafePointer<UInt32>,
    to table: UnsafeMutablePointer<Float>, tableStride: Int
  ) {
    lz_take_rows(code, from, stride, rows, columns, targets, table, tableStride)
  }

  /// Σ x² in Double.
  package func sumOfSquares(_ x: UnsafePointer<Float>, count: Int) -> Double {
    lz_sum_squares(code, x, count)
  }
}
