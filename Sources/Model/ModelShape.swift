import CLongzooKernels

/// The cell and the sizes of a recurrent language model: tokens enter by table lookup into the gates, a linear readout gives the logits.
///
/// V vocabulary, H hidden size, N heads, D = H/N, L layers, G gate rows a unit. The gates of layer 0 are table[token] + bias₀ + W₀·h₀;
/// those of layer l > 0 are bias_l + W_l·(h_{l−1}, h_l), without the h_l of cells whose rows do not read it. With an embedding of E the
/// table has E columns, and layer 0 reads it as if it were a layer below; see `BlockKind` for layers that add to what they read. With heads the recurrent part of each W is block-diagonal, as in FlashRNN
/// (arXiv 2412.07752): a unit sees the D units of its own head of h_l, but all of h_{l−1}.
public struct ModelShape: Equatable, Codable, Sendable {
  /// V, the ids of tokens.
  public var vocabularySize: Int
  /// H, the units of a layer.
  public var hiddenSize: Int
  /// L, from 1 to `maximumLayers`.
  public var layers: Int
  /// N, a divisor of H.
  public var heads: Int
  /// What its units compute.
  public var cell: Cell {
    didSet { embeddingSize = Self.embeddingSize(embeddingSize, block, cell, hiddenSize) }
  }
  /// How layers are put together.
  public var block: BlockKind {
    didSet { embeddingSize = Self.embeddingSize(embeddingSize, block, cell, hiddenSize) }
  }
  /// E, the width of the embedding by which tokens enter; 0: they enter by the rows of the first layer's gates.
  public var embeddingSize: Int
  /// N, the slots of the memory of a `Cell.dnc`; other cells have none.
  public var memorySlots = 1
  /// R, the heads that read the memory, a divisor of H: a slot has H/R numbers.
  public var readHeads = 1
  /// Whether the memory starts at zero: all slots then stay alike for ever.
  public var startsEmpty = false

  /// Residual blocks need one, and some cells.
  private static func embeddingSize(
    _ size: Int, _ block: BlockKind, _ cell: Cell, _ hiddenSize: Int
  ) -> Int {
    size == 0 && (block == .residual || cell.needsEmbedding) ? hiddenSize : size
  }

  /// The most layers.
  public static let maximumLayers = (Int(LZ_MAX_STAGES) - 4) / 5

  /// - Parameter embeddingSize: E; residual blocks, and cells that need one, take H if they are told nothing.
  /// - Precondition: V and H are at least 1, L is from 1 to `maximumLayers`, and N divides H.
  public init(
    vocabularySize: Int, hiddenSize: Int, layers: Int = 1, heads: Int = 1, cell: Cell = .lstm,
    block: BlockKind = .plain, embeddingSize: Int = 0
  ) {
    precondition(vocabularySize >= 1 && hiddenSize >= 1, "V = \(vocabularySize), H = \(hiddenSize)")
    precondition(
      (1...Self.maximumLayers).contains(layers), "\(layers) layers of at most \(Self.maximumLayers)")
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    precondition(heads >= 1 && hiddenSize % heads == 0, "\(hiddenSize) units in \(heads) heads")
    self.layers = layers
    self.heads = heads
    self.cell = cell
    self.block = block
    precondition(embeddingSize >= 0, "an embedding of \(embeddingSize)")
    self.embeddingSize = Self.embeddingSize(embeddingSize, block, cell, hiddenSize)
  }

  /// D, the units of a head.
  public var headSize: Int { hiddenSize / heads }

  /// Multiplies and adds of the shared products for one token and column; lookups, gates and softmax are not counted.
  public var flopsPerTokenColumn: Double {
    let stages = (0..<stageCount).reduce(0) { $0 + stage($1).gates * stage($1).inputs }
    return 2 * Double(stages + readoutInputs * vocabularySize)
  }

  /// All tensors in the order in which `Parameters` holds them.
  public var tensors: [TensorSlice] {
    [slice(.table)] + (0..<stageCount).flatMap(tensors(ofStage:)) + [slice(.readout), slice(.readoutBias)]
  }

  private func tensors(ofStage index: Int) -> [TensorSlice] {
    let stage = stage(index)
    return (stage.inputs > 0 ? [slice(.kernel(index))] : []) + (stage.gates > 0 ? [slice(.bias(index))] : [])
      + (stage.scalarCount > 0 ? [slice(.scalars(index))] : [])
  }

  /// One of them; asked for in every update, so no array is made.
  public func slice(_ tensor: Tensor) -> TensorSlice {
    func slice(_ rows: Int, _ columns: Int, at offset: Int) -> TensorSlice {
      TensorSlice(tensor: tensor, rows: rows, columns: columns, offset: offset)
    }
    switch tensor {
    case .table: return slice(vocabularySize, stage(0).gates, at: 0)
    case .kernel(let index):
      return slice(stage(index).gates, stage(index).inputs, at: parameters(beforeStage: index))
    case .bias(let index):
      let stage = stage(index)
      return slice(1, stage.gates, at: parameters(beforeStage: index) + stage.gates * stage.inputs)
    case .scalars(let index):
      let stage = stage(index)
      return slice(
        1, stage.scalarCount, at: parameters(beforeStage: index) + stage.gates * (stage.inputs + 1))
    case .readout: return slice(vocabularySize, readoutInputs, at: parameters(beforeStage: stageCount))
    case .readoutBias:
      return slice(
        1, vocabularySize, at: parameters(beforeStage: stageCount) + vocabularySize * readoutInputs)
    }
  }

  private func parameters(beforeStage index: Int) -> Int {
    (0..<index).reduce(vocabularySize * stage(0).gates) { $0 + stage($1).parameterCount }
  }

  /// Elements of all tensors together.
  public var parameterCount: Int { slice(.readoutBias).range.upperBound }
}

/// A part of the parameters; stages are numbered from 0.
public enum Tensor: Hashable, Sendable {
  /// [V × GH] the tokens' contribution to the first stage's gates.
  case table
  /// [GH × inputs] of a stage; row G·u + g has the columns of unit u's head.
  case kernel(Int)
  /// [GH] of a stage.
  case bias(Int)
  /// [KH] of a stage whose cell has K scalars: K·u + k. That of a late row is the bias of its product with the own state.
  case scalars(Int)
  /// [V × H]
  case readout
  /// [V]
  case readoutBias

  /// The stage whose rows it moves; nil for the readout.
  public var stage: Int? {
    switch self {
    case .table: 0
    case .kernel(let stage), .bias(let stage), .scalars(let stage): stage
    case .readout, .readoutBias: nil
    }
  }

  /// Whether it belongs to the readout.
  public var isReadout: Bool { self == .readout || self == .readoutBias }

  /// Biases and scalars; a matrix of one row is none of them.
  public var isVector: Bool {
    switch self {
    case .bias, .scalars, .readoutBias: true
    case .table, .kernel, .readout: false
    }
  }
}

/// A tensor as a row-major range of the parameter vector. Gate rows are unit-major: row G·u + g is row g of unit u.
public struct TensorSlice: Equatable, Sendable {
  /// Which one it is.
  public var tensor: Tensor
  /// Rows; vectors have one.
  public var rows: Int
  /// Columns, the elements of a vector.
  public var columns: Int
  /// Parameters before its first.
  public var offset: Int

  /// Its elements.
  public var count: Int { rows * columns }
  /// Where they lie among all parameters.
  public var range: Range<Int> { offset..<offset + count }
}

extension ModelShape {
  private enum CodingKeys: String, CodingKey {
    case vocabularySize, hiddenSize, layers, heads, cell, block, embeddingSize, memorySlots, readHeads,
      startsEmpty
  }

  /// Files that name no cell are of version 0.1, which had one.
  public init(from decoder: any Decoder) throws {
    let c = try decoder.container(keyedBy: CodingKeys.self)
    vocabularySize = try c.decode(Int.self, forKey: .vocabularySize)
    hiddenSize = try c.decode(Int.self, forKey: .hiddenSize)
    layers = try c.decode(Int.self, forKey: .layers)
    heads = try c.decode(Int.self, forKey: .heads)
    cell = try c.decodeIfPresent(Cell.self, forKey: .cell) ?? .lstm
    block = try c.decodeIfPresent(BlockKind.self, forKey: .block) ?? .plain
    embeddingSize = try c.decodeIfPresent(Int.self, forKey: .embeddingSize) ?? 0
    memorySlots = try c.decodeIfPresent(Int.self, forKey: .memorySlots) ?? 1
    readHeads = try c.decodeIfPresent(Int.self, forKey: .readHeads) ?? 1
    startsEmpty = try c.decodeIfPresent(Bool.self, forKey: .startsEmpty) ?? false
  }
}
