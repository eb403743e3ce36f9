import CLongzooKernels

/// Where the kernels find everything: the C layout, made once for a run.
public struct Layout: Sendable {
  /// The model's sizes.
  public let shape: ModelShape
  /// The directions along which weights are moved.
  public let kind: DirectionKind
  /// Whether the readout is not moved: its gradient is summed exactly.
  public let exactReadout: Bool
  private let made: MadeLayout

  /// The layout of a model whose weights are moved.
  /// - Parameters:
  ///   - exactReadout: whether those of the readout are not.
  ///   - readsInPlace: whether the table and the readout are read where the parameters lie (`PackedWeights`), and the readout apart from
  ///     the rest of a step (`ReadoutSamples`); only an exact one.
  public init(_ shape: ModelShape, kind: DirectionKind, exactReadout: Bool, readsInPlace: Bool = false) {
    precondition(exactReadout || !readsInPlace, "a readout that is moved is packed")
    self.shape = shape
    self.kind = kind
    self.exactReadout = exactReadout
    var c = Self.shape(shape)
    c.dense = kind == .rademacher ? 1 : 0
    c.exact_readout = exactReadout ? 1 : 0
    c.normal = kind == .gaussian ? 1 : 0
    c.plain = readsInPlace ? 1 : 0
    c.rank = Int32(kind.rank)
    made = MadeLayout(c)
  }

  /// Of a model whose gates are moved and whose weights are not: no kind of direction plays a part. The readout is not moved and hands out
  /// its rows, in which p − y is exact, or estimated from losses under moved logits.
  /// - Precondition: the cell has no late row, which would have to be moved in two places.
  public init(nodesOf shape: ModelShape, movesLogits: Bool = false) {
    precondition(!shape.cell.hasLateRow, "the gates of \(shape.cell) cannot be moved")
    self.shape = shape
    kind = .rank1
    exactReadout = true
    var c = Self.shape(shape)
    c.exact_readout = 1
    c.rank = 1
    c.nodes = 1
    c.logits = movesLogits ? 1 : 0
    made = MadeLayout(c)
  }

  private static func shape(_ shape: ModelShape) -> lz_shape {
    var c = lz_shape()
    c.vocabulary = Int32(shape.vocabularySize)
    c.stages = Int32(shape.stageCount)
    c.empty_memory = shape.startsEmpty ? 1 : 0
    withUnsafeMutableBytes(of: &c.stage) { bytes in
      let stages = bytes.assumingMemoryBound(to: lz_stage_shape.self)
      for index in 0..<shape.stageCount {
        let stage = shape.stage(index)
        stages[index] = lz_stage_shape(
          cell: Int32(stage.cell.code.rawValue), units: Int32(stage.units), heads: Int32(stage.heads),
          slots: Int32(stage.slots),
          below: Int32(stage.below?.stage ?? -1), second: Int32(stage.second?.stage ?? -1),
          other: Int32(stage.other ?? -1))
      }
    }
    return c
  }

  /// The C layout, for as long as this one is there.
  package var c: UnsafePointer<lz_layout> { UnsafePointer(made.layout) }

  /// Where a stage's parts lie.
  package func stage(_ index: Int) -> UnsafePointer<lz_stage> {
    precondition((0..<Int(c.pointee.shape.stages)).contains(index), "stage \(index) of \(shape.stageCount)")
    let first = UnsafeRawPointer(made.layout) + MemoryLayout<lz_layout>.offset(of: \.stage)!
    return first.assumingMemoryBound(to: lz_stage.self) + index
  }

  /// Whether the inputs of gates are moved, and no weight is.
  package var movesNodes: Bool { c.pointee.shape.nodes != 0 }

  /// Whether the table and the readout are read where the parameters lie.
  public var readsInPlace: Bool { c.pointee.shape.plain != 0 }

  /// Padding included: rows of the sign words of a tensor's gates or logits, and their stride where the table's tokens
  /// each have their own (full-rank).
  package var gateStride: Int { c.pointee.gate_stride }
  /// Floats of the states of a tile: of every stage [S][padded units][32].
  package var stateFloats: Int { c.pointee.state }
  /// The exact readout's p − y and h of one tile and token, in floats.
  package var deltaTile: Int { c.pointee.delta_tile }
  package var inputTile: Int { c.pointee.input_tile }
  /// The last stage's h of one tile and token, in floats.
  package var hiddenTile: Int { c.pointee.top * Tile.columns }
  /// Rows of the readout, and units, with what pads them to whole blocks and panels.
  package var paddedVocabulary: Int { c.pointee.readout_blocks * Tile.blockRows }
  package var paddedInputs: Int { c.pointee.input_panels * Int(LZ_PANEL) }
  package var signsPerTile: Int { c.pointee.signs }
  /// Of normal entries: where a tile's name lies among its words.
  package var nameWords: Int { c.pointee.s_name }
  package func kernel(_ index: Int) -> Int { stage(index).pointee.w_kernel }
  package func bias(_ index: Int) -> Int { stage(index).pointee.w_bias }
  package func scalars(_ index: Int) -> Int { stage(index).pointee.w_scalars }

  /// Where the signs of a tensor lie in a tile's words: those of its rows, and those of its columns (rank-one), or one
  /// range for all (full-rank, and biases).
  package func signs(_ tensor: Tensor) -> (rows: Int, columns: Int) {
    switch tensor {
    case .table: (c.pointee.s_table_row, c.pointee.s_table_column)
    case .kernel(let index): (stage(index).pointee.s_kernel_row, stage(index).pointee.s_kernel_column)
    case .bias(let index): (stage(index).pointee.s_bias, stage(index).pointee.s_bias)
    case .scalars(let index): (stage(index).pointee.s_scalars, stage(index).pointee.s_scalars)
    case .readout: (c.pointee.s_readout_row, c.pointee.s_readout_column)
    case .readoutBias: (c.pointee.s_readout_bias, c.pointee.s_readout_bias)
    }
  }

  /// What the exact readout's gradient takes of one tile and token, in floats.
  package var readoutTileFloats: Int { exactReadout ? c.pointee.delta_tile + c.pointee.input_tile : 0 }

  /// The gate rows of a head of a stage: in the model's order, and where they begin in the kernels', which pad each head.
  package func gates(ofHead head: Int, stage index: Int) -> (rows: Range<Int>, packed: Int) {
    let stage = shape.stage(index)
    let count = stage.cell.rows * stage.headSize
    return (head * count..<(head + 1) * count, head * self.stage(index).pointee.head_gates)
  }

  /// The elements of a tensor's rows, or columns of the table, that belong to a head: gate rows, or scalars; in the model's
  /// order, and where they begin in the kernels'.
  package func elements(of tensor: Tensor, head: Int) -> (rows: Range<Int>, packed: Int) {
    guard let index = tensor.stage else { preconditionFailure("the readout has no heads") }
    guard case .scalars = tensor else { return gates(ofHead: head, stage: index) }
    let (stage, packed) = (shape.stage(index), stage(index).pointee)
    if stage.cell.rows == 0 { return (0..<stage.scalarCount, 0) }
    let count = stage.cell.scalars.count * stage.headSize
    return (
      head * count..<(head + 1) * count, head * packed.head_blocks * packed.block_units * packed.scalars
    )
  }

  /// The heads of the stage whose rows a tensor moves.
  package func heads(of tensor: Tensor) -> Range<Int> {
    0..<(tensor.stage.map { shape.stage($0).cell.rows == 0 ? 1 : shape.stage($0).heads } ?? 1)
  }

  /// States of `columns` columns that no token has come to yet, [stateFloats/32][columns].
  package func freshen(_ states: UnsafeMutablePointer<Float>, columns: Int) {
    lz_fresh_states(c, columns, states)
  }

  /// The same of one column of a tile.
  package func freshen(column: UnsafeMutablePointer<Float>) {
    for row in 0..<stateFloats / Tile.columns { column[row * Tile.columns] = 0 }
    guard !shape.startsEmpty else { return }
    for index in 0..<shape.stageCount {
      let stage = stage(index).pointee
      let first = column + (stage.state + stage.states * stage.padded) * Tile.columns
      for row in 0..<stage.memory { first[row * Tile.columns] = lz_memory_start(UInt32(row)) }
    }
  }

  /// Elements of a stage's bias in the kernels' order, padding included.
  package func paddedElements(of bias: Tensor) -> Int {
    guard let index = bias.stage else { return paddedVocabulary }
    return if case .scalars = bias { stage(index).pointee.scalar_count } else { stage(index).pointee.gates }
  }

  /// A stage's gate rows in the kernels' order, padding included.
  package func paddedGates(ofStage index: Int) -> Int { stage(index).pointee.gates }
}

/// The C layout, which is some kilobytes long: made once, and shared by all copies of a `Layout`.
private final class MadeLayout: Sendable {
  /// Never written after it was made.
  nonisolated(unsafe) let layout: UnsafeMutablePointer<lz_layout>

  init(_ shape: lz_shape) {
    layout = .allocate(capacity: 1)
    withUnsafePointer(to: shape) { lz_layout_make($0, layout) }
  }

  deinit { layout.deallocate() }
}
