import CLongzooKernels

/// Where the kernels find everything: the C layout, made once for a run.
public struct Layout: Sendable {
  /// The model's sizes.
  public let shape: ModelShape
  /// The directions along which weights are moved.
  public let kind: DirectionKind
  /// Whether the readout is not moved: its gradient is summed exactly.
  public let exactReadout: Bool
  package let c: lz_layout

  /// The layout of a model whose weights are moved.
  /// - Parameter exactReadout: whether those of the readout are not.
  public init(_ shape: ModelShape, kind: DirectionKind, exactReadout: Bool) {
    self.shape = shape
    self.kind = kind
    self.exactReadout = exactReadout
    c = lz_layout_make(
      lz_shape(
        vocabulary: Int32(shape.vocabularySize), hidden: Int32(shape.hiddenSize), heads: Int32(shape.heads),
        layers: Int32(shape.layers), cell: Int32(shape.cell.code.rawValue),
        dense: kind == .rademacher ? 1 : 0, exact_readout: exactReadout ? 1 : 0,
        normal: kind == .gaussian ? 1 : 0, rank: Int32(kind.rank), nodes: 0, logits: 0))
  }

  /// Of a model whose gates are moved and whose weights are not: no kind of direction plays a part. The readout is not moved and hands out
  /// its rows, in which p − y is exact, or estimated from losses under moved logits.
  /// - Precondition: the cell has no late row, which would have to be moved in two places.
  public init(nodesOf shape: ModelShape, movesLogits: Bool = false) {
    precondition(!shape.cell.hasLateRow, "the gates of \(shape.cell) cannot be moved")
    self.shape = shape
    kind = .rank1
    exactReadout = true
    c = lz_layout_make(
      lz_shape(
        vocabulary: Int32(shape.vocabularySize), hidden: Int32(shape.hiddenSize), heads: Int32(shape.heads),
        layers: Int32(shape.layers), cell: Int32(shape.cell.code.rawValue), dense: 0, exact_readout: 1,
        normal: 0, rank: 1, nodes: 1,
        logits: movesLogits ? 1 : 0))
  }

  /// Whether the inputs of gates are moved, and no weight is.
  package var movesNodes: Bool { c.shape.nodes != 0 }

  /// Padding included: rows of the sign words of a tensor's gates or logits, and their stride where the table's tokens
  /// each have their own (full-rank).
  package var gateStride: Int { c.gate_stride }
  /// Floats of the states of a tile, [L][S][paddedUnits][32].
  package var stateFloats: Int { c.state }
  package var paddedUnits: Int { c.units }
  /// The exact readout's p − y and h of one tile and token, in floats.
  package var deltaTile: Int { c.delta_tile }
  package var inputTile: Int { c.input_tile }
  /// Rows of the readout, and units, with what pads them to whole blocks and panels.
  package var paddedVocabulary: Int { c.readout_blocks * Tile.blockRows }
  package var paddedInputs: Int { c.input_panels * Int(LZ_PANEL) }
  package var signsPerTile: Int { c.signs }
  /// Of normal entries: where a tile's name lies among its words.
  package var nameWords: Int { c.s_name }
  package func kernel(_ layer: Int) -> Int { Self.element(c.w_kernel, layer) }
  package func bias(_ layer: Int) -> Int { Self.element(c.w_bias, layer) }
  package func lateBias(_ layer: Int) -> Int { Self.element(c.w_late, layer) }

  /// Where the signs of a tensor lie in a tile's words: those of its rows, and those of its columns (rank-one), or one
  /// range for all (full-rank, and biases).
  package func signs(_ tensor: Tensor) -> (rows: Int, columns: Int) {
    switch tensor {
    case .table: (c.s_table_row, c.s_table_column)
    case .kernel(let layer): (Self.element(c.s_kernel_row, layer), Self.element(c.s_kernel_column, layer))
    case .bias(let layer): (Self.element(c.s_bias, layer), Self.element(c.s_bias, layer))
    case .lateBias(let layer): (Self.element(c.s_late, layer), Self.element(c.s_late, layer))
    case .readout: (c.s_readout_row, c.s_readout_column)
    case .readoutBias: (c.s_readout_bias, c.s_readout_bias)
    }
  }

  /// What the exact readout's gradient takes of one tile and token, in floats.
  package var readoutTileFloats: Int { exactReadout ? c.delta_tile + c.input_tile : 0 }

  /// The gate rows of a head: in the model's order, and where they begin in the kernels', which pad each head.
  package func gates(ofHead head: Int) -> (rows: Range<Int>, packed: Int) {
    let count = shape.cell.rows * shape.headSize
    return (head * count..<(head + 1) * count, head * c.head_gates)
  }

  /// The elements of a layer's bias that belong to a head: gate rows, or units for a late bias; in the model's order, and where they
  /// begin in the kernels'.
  package func elements(of bias: Tensor, head: Int) -> (rows: Range<Int>, packed: Int) {
    guard case .lateBias = bias else { return gates(ofHead: head) }
    let count = shape.headSize
    return (head * count..<(head + 1) * count, head * c.head_blocks * c.block_units)
  }

  /// Elements of a layer's bias in the kernels' order, padding included.
  package func paddedElements(of bias: Tensor) -> Int {
    if case .lateBias = bias { c.late_units } else { c.gates }
  }

  /// Gate rows in the kernels' order, padding included.
  package var paddedGates: Int { c.gates }

  /// C arrays come to Swift as tuples.
  private static func element<T>(_ tuple: T, _ index: Int) -> Int {
    precondition((0..<ModelShape.maximumLayers).contains(index))
    return withUnsafeBytes(of: tuple) {
      $0.load(fromByteOffset: index * MemoryLayout<Int>.stride, as: Int.self)
    }
  }
}
