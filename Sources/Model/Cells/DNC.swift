import CLongzooKernels

extension Cell {
  /// The differentiable neural computer (Graves et al. 2016) with a write and R reads by content alone, as arXiv 2505.17852 has it: an LSTM
  /// whose output moves a memory of slots of D = H/R numbers. It is no cell of a layer but a model of several stages; this value is that
  /// of its memory.
  public static let dnc = Cell(
    "dnc", LZ_MEMORY, biases: [],
    scalars: norm("memory_norm") + norm("read_key_norm") + norm("write_key_norm"), isBounded: false,
    help: "differentiable neural computer: an LSTM that writes and reads a memory")

  /// g∘(x − mean)/sd + b of the h of one stage, or of two as one vector.
  static let layerNorm = Cell("layer norm", LZ_LAYER_NORM, biases: [], scalars: norm("norm"), help: "")

  private static func norm(_ name: String) -> [CellScalar] {
    [
      CellScalar(name: name + ".weight", values: Spread(first: 1, last: 1)),
      CellScalar(name: name + ".bias", values: Spread(first: 0, last: 0)),
    ]
  }
}

extension ModelShape {
  static let machineStages = 7
  static let machineController = 2
  static let machineInterface = 4

  /// Of a `Cell.dnc`: the embedding x; LN(x, reads of the token before); the controller, an LSTM; o = LN(h); the interface, which is keys of
  /// the reads [RD] and of the write [D], erase and add [D], and the write's strength; the memory, whose h are the reads; LN(o, reads).
  func machineStage(_ index: Int) -> Stage {
    let (units, width) = (hiddenSize, hiddenSize / readHeads)
    switch index {
    case 0: return Stage(cell: .linear, units: embeddingSize)
    case 1:
      return Stage(
        cell: .layerNorm, units: embeddingSize + units, second: Stage.Source(stage: 5, units: units), other: 0
      )
    case 2:
      return Stage(cell: .lstm, units: units, below: Stage.Source(stage: 1, units: embeddingSize + units))
    case 3: return Stage(cell: .layerNorm, units: units, other: 2)
    case 4:
      return Stage(
        cell: .linear, units: (readHeads + 3) * width + 1, below: Stage.Source(stage: 3, units: units))
    case 5:
      return Stage(
        cell: .dnc, units: units, heads: readHeads, other: Self.machineInterface, slots: memorySlots)
    default:
      return Stage(cell: .layerNorm, units: 2 * units, second: Stage.Source(stage: 5, units: units), other: 3)
    }
  }

  /// A part of a matrix whose Xavier scale is its own.
  struct MatrixPart {
    var rows: Range<Int>
    var columns: Range<Int>
    /// Uniform in ± this: √(6/(rows + columns)) (Glorot and Bengio 2010).
    var scale: Float { (6 / Float(rows.count + columns.count)).squareRoot() }
  }

  /// The matrices that a tensor of a `Cell.dnc` is made of.
  func machineParts(_ tensor: Tensor) -> [MatrixPart] {
    let slice = slice(tensor)
    let (rows, columns) = (0..<slice.rows, 0..<slice.columns)
    let width = hiddenSize / readHeads
    switch tensor {
    case .kernel(Self.machineController):
      let below = embeddingSize + hiddenSize
      return [
        MatrixPart(rows: rows, columns: 0..<below), MatrixPart(rows: rows, columns: below..<slice.columns),
      ]
    case .kernel(Self.machineInterface):
      let ends = [0, readHeads * width] + (1...3).map { (readHeads + $0) * width } + [slice.rows]
      return zip(ends, ends.dropFirst()).map { MatrixPart(rows: $0..<$1, columns: columns) }
    default: return [MatrixPart(rows: rows, columns: columns)]
    }
  }
}
