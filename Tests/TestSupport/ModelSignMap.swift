/// Reads the direction of one pair out of a tile's sign words, by the kernels' documented layout: bit p of a word is
/// set where the direction of pair p is −1.
public struct ModelSignMap: Sendable {
  /// First words of a matrix: a product has one word a row and one a column; full-rank has only `columns`, a word a weight.
  public typealias Matrix = (rows: Int, columns: Int)

  public var model: ReferenceLSTM
  public var isDense: Bool
  /// Products in a direction that is not dense. The words of each follow those of the one before: gate rows, readout rows and the
  /// table's columns with their padding.
  public var rank: Int
  public var exactReadout: Bool
  /// Words between two tokens of a full-rank table.
  public var gateStride: Int
  public var table: Matrix
  public var kernels: [Matrix]
  public var biases: [Int]
  public var readout: Matrix
  public var readoutBias: Int
  /// Where entries are normal: the first of the tile's ten words. Nothing else is read then.
  public var name: Int?

  public init(
    model: ReferenceLSTM, isDense: Bool, rank: Int, exactReadout: Bool, gateStride: Int, table: Matrix,
    kernels: [Matrix],
    biases: [Int], readout: Matrix, readoutBias: Int, name: Int? = nil
  ) {
    self.name = name
    self.model = model
    self.isDense = isDense
    self.rank = rank
    self.exactReadout = exactReadout
    self.gateStride = gateStride
    self.table = table
    self.kernels = kernels
    self.biases = biases
    self.readout = readout
    self.readoutBias = readoutBias
  }

  /// The kernels pad the gate rows of each head to whole blocks of 12.
  private func packed(_ row: Int) -> Int {
    let gates = 4 * model.hidden / model.heads
    return row / gates * ((gates + 11) / 12 * 12) + row % gates
  }

  /// The direction's entry for each parameter (±1 where it is a sign), 0 for those that are not perturbed.
  public func direction(bit: Int, of words: UnsafePointer<UInt16>) -> [Double] {
    if let name { return normalDirection(ModelNormals(name: words + name), lane: bit) }
    func sign(_ word: Int) -> Double { words[word] >> UInt16(bit) & 1 == 1 ? -1 : 1 }
    let gates = 4 * model.hidden
    let paddedGates = packed(gates - 1) / 12 * 12 + 12
    func products(_ row: Int, every rowStep: Int, _ column: Int, every columnStep: Int) -> Double {
      (0..<rank).reduce(0.0) { $0 + sign(row + $1 * rowStep) * sign(column + $1 * columnStep) }
        / Double(rank).squareRoot()
    }
    var z = Array(repeating: 0.0, count: model.parameterCount)
    for token in 0..<model.vocabulary {
      for row in 0..<gates {
        z[token * gates + row] =
          isDense
          ? sign(table.columns + token * gateStride + packed(row))
          : products(
            table.rows + token, every: model.vocabulary, table.columns + packed(row), every: gateStride)
      }
    }
    func fill(_ first: Int, _ rows: Int, _ columns: Int, _ matrix: Matrix) {
      for row in 0..<rows {
        for k in 0..<columns {
          z[first + row * columns + k] =
            isDense
            ? sign(matrix.columns + (row / 12 * columns + k) * 12 + row % 12)
            : products(
              matrix.rows + row, every: (rows + 11) / 12 * 12, matrix.columns + k, every: columns)
        }
      }
    }
    func fillKernel(_ layer: Int) {
      let (width, words) = (model.inputs(layer), kernels[layer])
      for row in 0..<gates {
        let (at, head) = (packed(row), row / (gates / model.heads))
        for k in 0..<width {
          z[model.kernel(layer) + row * width + k] =
            isDense
            ? sign(words.columns + (at / 12 * width + k) * 12 + at % 12)
            : products(
              words.rows + at, every: paddedGates, words.columns + head * width + k,
              every: model.heads * width)
        }
      }
    }
    for layer in 0..<model.layers {
      fillKernel(layer)
      for row in 0..<gates { z[model.bias(layer) + row] = sign(biases[layer] + packed(row)) }
    }
    if !exactReadout {
      fill(model.readout, model.vocabulary, model.hidden, readout)
      for v in 0..<model.vocabulary { z[model.readoutBias + v] = sign(readoutBias + v) }
    }
    return z
  }

  /// The table's entries have one pair and 16 gate rows each, all others 16 pairs.
  private func normalDirection(_ normals: ModelNormals, lane: Int) -> [Double] {
    let gates = 4 * model.hidden
    var z = Array(repeating: 0.0, count: model.parameterCount)
    for token in 0..<model.vocabulary {
      for row in 0..<gates {
        let at = packed(row)
        z[token * gates + row] = normals.entry(
          (token * 16 + lane) * gateStride / 16 + at / 16, lane: at % 16, tensor: 0)
      }
    }
    func fill(_ first: Int, _ rows: Int, _ columns: Int, tensor: Int, _ place: (Int) -> Int) {
      for row in 0..<rows {
        let at = place(row)
        for k in 0..<columns {
          z[first + row * columns + k] = normals.entry(
            (at / 12 * columns + k) * 12 + at % 12, lane: lane, tensor: tensor)
        }
      }
    }
    for layer in 0..<model.layers {
      fill(model.kernel(layer), gates, model.inputs(layer), tensor: 1 + 2 * layer, packed)
      for row in 0..<gates {
        z[model.bias(layer) + row] = normals.entry(packed(row), lane: lane, tensor: 2 + 2 * layer)
      }
    }
    if !exactReadout {
      fill(model.readout, model.vocabulary, model.hidden, tensor: 1 + 2 * model.layers) { $0 }
      for v in 0..<model.vocabulary {
        z[model.readoutBias + v] = normals.entry(v, lane: lane, tensor: 2 + 2 * model.layers)
      }
    }
    return z
  }
}
