import CLongzooKernels

/// A row of weights where it lies: `count` floats, `stride` apart.
package struct WeightRow {
  package var first: UnsafeMutablePointer<Float>
  package var stride: Int
  package var count: Int

  package init(first: UnsafeMutablePointer<Float>, stride: Int, count: Int) {
    self.first = first
    self.stride = stride
    self.count = count
  }
}

/// The packed weights as the one copy of a model: read, written and made without `Parameters` beside them.
///
/// The first stage's bias is part of the token table for good: the model is the same function, and its bias reads as 0.
extension PackedWeights {
  /// The model's sizes.
  public var shape: ModelShape { layout.shape }

  /// All of them as they lie, padding included.
  package var elements: UnsafeMutableBufferPointer<Float> { values.elements }

  /// A gate row of a stage in the kernels' order.
  private func packed(gate row: Int, stage index: Int) -> Int {
    let stage = shape.stage(index)
    let gates = stage.cell.rows * stage.headSize
    return row / gates * layout.stage(index).pointee.head_gates + row % gates
  }

  /// Rows of 12 that begin with row `row` of a matrix in the kernels' order, [columns][12].
  package func block(_ slice: TensorSlice, packedRow row: Int) -> UnsafeMutablePointer<Float> {
    let offset =
      if case .kernel(let stage) = slice.tensor { layout.kernel(stage) } else { layout.c.pointee.w_readout }
    return values.pointer + offset + row * slice.columns
  }

  /// A row of a kernel or of the readout, in the model's order.
  package func row(_ slice: TensorSlice, _ row: Int) -> WeightRow {
    let packed = if case .kernel(let stage) = slice.tensor { packed(gate: row, stage: stage) } else { row }
    let first = block(slice, packedRow: packed / Tile.blockRows * Tile.blockRows) + packed % Tile.blockRows
    return WeightRow(first: first, stride: Tile.blockRows, count: slice.columns)
  }

  /// What every token adds to a gate row of the first stage, its bias included.
  package func tokens(ofGate row: Int) -> WeightRow {
    WeightRow(
      first: values.pointer + layout.c.pointee.w_table + packed(gate: row, stage: 0),
      stride: layout.gateStride,
      count: shape.vocabularySize)
  }

  /// One token's gates in the kernels' order, padding included.
  package func gates(ofToken token: Int) -> UnsafeMutablePointer<Float> {
    values.pointer + layout.c.pointee.w_table + token * layout.gateStride
  }

  /// A bias in the kernels' order; not the first stage's.
  package func bias(_ tensor: Tensor) -> UnsafeMutablePointer<Float> {
    switch tensor {
    case .bias(let stage): values.pointer + layout.bias(stage)
    case .scalars(let stage): values.pointer + layout.scalars(stage)
    default: values.pointer + layout.c.pointee.w_readout_bias
    }
  }

  /// One element of a bias, in the model's order; nil for the first stage's, which is in the table.
  package func bias(_ tensor: Tensor, _ index: Int) -> UnsafeMutablePointer<Float>? {
    switch tensor {
    case .bias(0): nil
    case .bias(let stage): bias(tensor) + packed(gate: index, stage: stage)
    case .scalars(let stage):
      bias(tensor) + scalar(index, of: shape.stage(stage), tensor)
    default: bias(tensor) + index
    }
  }

  private func scalar(_ index: Int, of stage: Stage, _ tensor: Tensor) -> Int {
    if stage.cell.rows == 0 { return index }
    let (head, own) = index.quotientAndRemainder(dividingBy: stage.cell.scalars.count * stage.headSize)
    return layout.elements(of: tensor, head: head).packed + own
  }

  /// The weights that `Parameters.initialize` makes.
  public func initialize(
    seed: UInt64, _ options: Initialization = Initialization(), on pool: ThreadPool
  ) {
    let initial = InitialWeights(shape, seed: seed, options)
    for (index, slice) in shape.tensors.enumerated() {
      switch slice.tensor {
      case .kernel, .readout:
        pool.run(slice.rows) { number, _ in
          let row = row(slice, number)
          initial.fill(
            tensor: index, from: number * row.count, count: row.count, into: row.first, stride: row.stride)
        }
      case .table:
        pool.run(slice.rows) { token, _ in
          for head in layout.heads(of: .table) {
            let gates = layout.gates(ofHead: head, stage: 0)
            initial.fill(
              tensor: index, from: token * slice.columns + gates.rows.lowerBound, count: gates.rows.count,
              into: self.gates(ofToken: token) + gates.packed, stride: 1)
          }
        }
      case .bias(0): addFirstBias(initial, tensor: index, on: pool)
      case .bias, .scalars:
        for head in layout.heads(of: slice.tensor) {
          let gates = layout.elements(of: slice.tensor, head: head)
          initial.fill(
            tensor: index, from: gates.rows.lowerBound, count: gates.rows.count,
            into: bias(slice.tensor) + gates.packed, stride: 1)
        }
      case .readoutBias: clearReadoutBias()
      }
    }
  }

  private func addFirstBias(_ initial: InitialWeights, tensor: Int, on pool: ThreadPool) {
    pool.run(shape.vocabularySize) { token, _ in
      for head in layout.heads(of: .bias(0)) {
        let range = layout.gates(ofHead: head, stage: 0)
        let gates = gates(ofToken: token) + range.packed
        for (index, row) in range.rows.enumerated() {
          var value: Float = 0
          initial.fill(tensor: tensor, from: row, count: 1, into: &value, stride: 1)
          gates[index] += value
        }
      }
    }
  }

  /// Zero, and the lowest number for the rows that pad the readout: their probability must be none.
  public func clearReadoutBias() {
    for row in 0..<layout.c.pointee.readout_blocks * Tile.blockRows {
      bias(.readoutBias)[row] = row < shape.vocabularySize ? 0 : -.greatestFiniteMagnitude
    }
  }
}
