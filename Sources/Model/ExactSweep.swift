import CLongzooKernels

/// One model over many streams, forward through a stretch of tokens and backward again: what the exact gradient is made of.
///
/// It owns no memory: the pointers are the caller's, laid out as the head of `CKernels/include/sweep.h` says.
package final class ExactSweep {
  /// A layer's pointers; the layouts are those of `lz_sweep_layer`.
  package struct Layer {
    package var forward: UnsafeMutablePointer<Float>
    package var backward: UnsafeMutablePointer<Float>
    package var h: UnsafeMutablePointer<Float>
    /// The states after h, `othersStep` floats from one to the next.
    package var others: UnsafeMutablePointer<Float>
    package var othersStep: Int
    package var gates: UnsafeMutablePointer<Float>
    package var late: UnsafeMutablePointer<Float>?
    package var inputAdjoint: UnsafeMutablePointer<Float>
    package var stateAdjoint: UnsafeMutablePointer<Float>
    package var direct: UnsafeMutablePointer<Float>?

    package init(
      forward: UnsafeMutablePointer<Float>, backward: UnsafeMutablePointer<Float>,
      h: UnsafeMutablePointer<Float>, others: UnsafeMutablePointer<Float>, othersStep: Int,
      gates: UnsafeMutablePointer<Float>, late: UnsafeMutablePointer<Float>?,
      inputAdjoint: UnsafeMutablePointer<Float>, stateAdjoint: UnsafeMutablePointer<Float>,
      direct: UnsafeMutablePointer<Float>?
    ) {
      self.forward = forward
      self.backward = backward
      self.h = h
      self.others = others
      self.othersStep = othersStep
      self.gates = gates
      self.late = late
      self.inputAdjoint = inputAdjoint
      self.stateAdjoint = stateAdjoint
      self.direct = direct
    }
  }

  private let shape: ModelShape
  private let instructions: Instructions
  private let layers: UnsafeMutablePointer<lz_sweep_layer>
  private let sweep: UnsafeMutablePointer<lz_sweep>

  /// Hidden units with their padding.
  package static func units(_ shape: ModelShape) -> Int { (shape.hiddenSize + 15) / 16 * 16 }

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

  package init(_ shape: ModelShape, streams: Int, layers given: [Layer], instructions: Instructions) {
    precondition(given.count == shape.layers, "\(given.count) layers of \(shape.layers)")
    self.shape = shape
    self.instructions = instructions
    layers = .allocate(capacity: given.count)
    for (index, layer) in given.enumerated() {
      let row = lz_sweep_layer(
        inputs: Self.inputs(shape, layer: index), bias: nil, late_bias: nil, forward: layer.forward,
        backward: layer.backward, h: layer.h, others: layer.others, others_step: layer.othersStep,
        gates: layer.gates, late: layer.late, input_adjoint: layer.inputAdjoint,
        state_adjoint: layer.stateAdjoint, direct: layer.direct)
      (layers + index).initialize(to: row)
    }
    sweep = .allocate(capacity: 1)
    sweep.initialize(
      to: lz_sweep(
        hidden: shape.hiddenSize, units: Self.units(shape), streams: streams, layers: shape.layers,
        cell: Int32(shape.cell.code.rawValue), table: nil, layer: UnsafePointer(layers)))
  }

  /// ∂ of a layer's input and h, and of its other states [S − 1][B][U], before the last slot that the way back took.
  package func adjoints(ofLayer layer: Int) -> (input: UnsafePointer<Float>, others: UnsafePointer<Float>) {
    (UnsafePointer(layers[layer].input_adjoint), UnsafePointer(layers[layer].state_adjoint))
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
      layers[layer].late_bias = UnsafePointer(parameters.pointer(shape.slice(.lateBias(layer))))
    }
    pool.run(shape.layers * Self.packPieces) { task, _ in
      let (index, piece) = (task / Self.packPieces, task % Self.packPieces)
      let layer = layers[index]
      lz_sweep_pack(
        instructions.code, shape.cell.code, shape.hiddenSize, shape.headSize, layer.inputs,
        parameters.pointer(shape.slice(.kernel(index))),
        UnsafeMutablePointer(mutating: layer.forward), UnsafeMutablePointer(mutating: layer.backward), piece,
        Self.packPieces)
    }
  }

  /// Slots `slots` of the tape for some of the streams; `tokens`: [count][B].
  /// - Parameter keep: whether the way back will need these slots.
  package func forward(_ slots: Range<Int>, tokens: UnsafePointer<UInt32>, streams: Range<Int>, keep: Bool) {
    lz_sweep_forward(
      instructions.code, sweep, tokens, slots.lowerBound, slots.count, keep ? 1 : 0, streams.lowerBound,
      streams.count)
  }

  /// The way back over `slots`; `outputAdjoint`: [count][B][U].
  package func backward(_ slots: Range<Int>, outputAdjoint: UnsafePointer<Float>, streams: Range<Int>) {
    lz_sweep_backward(
      instructions.code, sweep, outputAdjoint, slots.lowerBound, slots.count, streams.lowerBound,
      streams.count)
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
