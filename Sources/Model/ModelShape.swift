import CLongzooKernels

/// The cell and the sizes of a recurrent language model: tokens enter by table lookup into the gates, a linear readout gives the logits.
///
/// V vocabulary, H hidden size, N heads, D = H/N, L layers, G gate rows a unit. The gates of layer 0 are table[token] + bias₀ + W₀·h₀;
/// those of layer l > 0 are bias_l + W_l·(h_{l−1}, h_l). With heads the recurrent part of each W is block-diagonal, as in FlashRNN
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
  public var cell: Cell

  /// The most layers.
  public static let maximumLayers = Int(LZ_MAX_LAYERS)

  /// - Precondition: V and H are at least 1, L is from 1 to `maximumLayers`, and N divides H.
  public init(vocabularySize: Int, hiddenSize: Int, layers: Int = 1, heads: Int = 1, cell: Cell = .lstm) {
    precondition(vocabularySize >= 1 && hiddenSize >= 1, "V = \(vocabularySize), H = \(hiddenSize)")
    precondition(
      (1...Self.maximumLayers).contains(layers), "\(layers) layers of at most \(Self.maximumLayers)")
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    precondition(heads >= 1 && hiddenSize % heads == 0, "\(hiddenSize) units in \(heads) heads")
    self.layers = layers
    self.heads = heads
    self.cell = cell
  }

  /// D, the units of a head.
  public var headSize: Int { hiddenSize / heads }

  /// G·H, the gate rows of a layer.
  public var gates: Int { cell.rows * hiddenSize }

  /// Columns of a layer's matrix: its own head's state, and above the first layer before it the state below.
  public func inputs(ofLayer layer: Int) -> Int { (layer == 0 ? 0 : hiddenSize) + headSize }

  /// Multiplies and adds of the shared products for one token and column; lookups, gates and softmax are not counted.
  public var flopsPerTokenColumn: Double {
    let gates = (0..<layers).reduce(0) { $0 + self.gates * inputs(ofLayer: $1) }
    return 2 * Double(gates + hiddenSize * vocabularySize)
  }

  /// All tensors in the order in which `Parameters` holds them.
  public var tensors: [TensorSlice] {
    [slice(.table)]
      + (0..<layers).flatMap {
        [slice(.kernel($0)), slice(.bias($0))] + (cell.hasLateRow ? [slice(.lateBias($0))] : [])
      }
      + [slice(.readout), slice(.readoutBias)]
  }

  /// One of them; asked for in every update, so no array is made.
  public func slice(_ tensor: Tensor) -> TensorSlice {
    let (gates, late) = (self.gates, cell.hasLateRow ? hiddenSize : 0)
    let kernels = vocabularySize * gates
    func kernel(_ layer: Int) -> Int {
      layer == 0
        ? kernels
        : kernels + gates * (inputs(ofLayer: 0) + 1 + (layer - 1) * (inputs(ofLayer: 1) + 1)) + layer * late
    }
    func slice(_ rows: Int, _ columns: Int, at offset: Int) -> TensorSlice {
      TensorSlice(tensor: tensor, rows: rows, columns: columns, offset: offset)
    }
    switch tensor {
    case .table: return slice(vocabularySize, gates, at: 0)
    case .kernel(let layer): return slice(gates, inputs(ofLayer: layer), at: kernel(layer))
    case .bias(let layer): return slice(1, gates, at: kernel(layer) + gates * inputs(ofLayer: layer))
    case .lateBias(let layer):
      return slice(1, late, at: kernel(layer) + gates * (inputs(ofLayer: layer) + 1))
    case .readout: return slice(vocabularySize, hiddenSize, at: kernel(layers))
    case .readoutBias: return slice(1, vocabularySize, at: kernel(layers) + vocabularySize * hiddenSize)
    }
  }

  /// Elements of all tensors together.
  public var parameterCount: Int { slice(.readoutBias).range.upperBound }
}

/// A part of the parameters; layers are numbered from 0.
public enum Tensor: Hashable, Sendable {
  /// [V × GH] the tokens' contribution to the first layer's gates.
  case table
  /// [GH × inputs] of a layer; row G·u + g has the columns of unit u's head.
  case kernel(Int)
  /// [GH] of a layer.
  case bias(Int)
  /// [H] of a layer whose cell has a late row: the bias of that row's product with the own state.
  case lateBias(Int)
  /// [V × H]
  case readout
  /// [V]
  case readoutBias

  /// Whether it belongs to the readout.
  public var isReadout: Bool { self == .readout || self == .readoutBias }

  /// Biases; a matrix of one row is none of them.
  public var isVector: Bool {
    switch self {
    case .bias, .lateBias, .readoutBias: true
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
  private enum CodingKeys: String, CodingKey { case vocabularySize, hiddenSize, layers, heads, cell }

  /// Files that name no cell are of version 0.1, which had one.
  public init(from decoder: any Decoder) throws {
    let c = try decoder.container(keyedBy: CodingKeys.self)
    vocabularySize = try c.decode(Int.self, forKey: .vocabularySize)
    hiddenSize = try c.decode(Int.self, forKey: .hiddenSize)
    layers = try c.decode(Int.self, forKey: .layers)
    heads = try c.decode(Int.self, forKey: .heads)
    cell = try c.decodeIfPresent(Cell.self, forKey: .cell) ?? .lstm
  }
}
