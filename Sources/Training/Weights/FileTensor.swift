import LongzooModel

/// A tensor of a weights file: its name and shape there, and which parameters it holds. G·H gate rows are gate-major: g·H + u.
struct FileTensor {
  enum Content {
    /// [GH × V] the token table, turned over.
    case table
    /// [V × E] the token table as it is, the embedding's bias added in.
    case embedding
    /// [GH × columns] these columns of a stage's matrix.
    case matrix(stage: Int, columns: Range<Int>)
    /// [GH] a stage's bias; with a twin: the sum of both, but in late rows.
    case bias(stage: Int, twin: String?)
    /// [GH] the late rows' bias, and zeros: such a twin.
    case lateBias(stage: Int)
    /// [H] one scalar of all units of a stage.
    case scalar(stage: Int, number: Int)
    /// [V × H]
    case readout
    /// [V]
    case readoutBias
  }

  let name: String
  let shape: [Int]
  let content: Content

  fileprivate init(_ name: String, _ shape: [Int], _ content: Content) {
    (self.name, self.shape, self.content) = (name, shape, content)
  }
}

extension BlockKind {
  /// The name of a tensor of a layer's cell: as in `nn.LSTM`, or, in a block, as in `nn.LSTMCell`.
  func cellTensor(_ part: String, layer: Int) -> String {
    switch self {
    case .plain: "rnn.\(part)_l\(layer)"
    case .residual: "blocks.\(layer).cell.\(part)"
    }
  }
}

extension ModelShape {
  /// The bias of an embedding that is not added in, E numbers: in checkpoints, which must not round.
  static let embeddingBias = "embedding.bias"

  /// All that a file of such a model holds. A table comes before the biases that packed weights add to it.
  var fileTensors: [FileTensor] {
    entryTensors + (cell.isWholeModel ? machineTensors : (0..<layers).flatMap(fileTensors(ofLayer:))) + [
      FileTensor("decoder.weight", [vocabularySize, readoutInputs], .readout),
      FileTensor("decoder.bias", [vocabularySize], .readoutBias),
    ]
  }

  private var entryTensors: [FileTensor] {
    guard embeddingSize > 0 else { return [] }
    let embedding = FileTensor("embedding.weight", [vocabularySize, embeddingSize], .embedding)
    return [embedding] + (isProjected ? linear("embedding_projection", stage: 1) : [])
  }

  private func fileTensors(ofLayer layer: Int) -> [FileTensor] {
    let index = stage(ofLayer: layer)
    func name(_ part: String) -> String { block.cellTensor(part, layer: layer) }
    var tensors = cellTensors(stage: index, name: name)
    var next = index + 1
    if cell.output != nil {
      tensors += linear(stage: next, weight: name("weight_output"), bias: name("bias_output"))
      next += 1
    }
    guard block == .residual else { return tensors }
    return tensors + linear("blocks.\(layer).gate", stage: next)
      + linear("blocks.\(layer).out", stage: next + 1)
  }

  private func cellTensors(stage index: Int, name: (String) -> String) -> [FileTensor] {
    let stage = stage(index)
    let (gates, below) = (stage.gates, stage.below?.units ?? 0)
    let input =
      below > 0
      ? FileTensor(name("weight_ih"), [gates, below], .matrix(stage: index, columns: 0..<below))
      : FileTensor(name("weight_ih"), [gates, vocabularySize], .table)
    guard stage.cell.readsOwnState else {
      let scalars = stage.cell.scalars.enumerated().map {
        FileTensor(name($0.element.name), [stage.units], .scalar(stage: index, number: $0.offset))
      }
      return [input, FileTensor(name("bias_ih"), [gates], .bias(stage: index, twin: nil))] + scalars
    }
    let own = below..<stage.inputs
    return [
      input,
      FileTensor(name("weight_hh"), [gates, own.count], .matrix(stage: index, columns: own)),
      FileTensor(name("bias_ih"), [gates], .bias(stage: index, twin: name("bias_hh"))),
      FileTensor(name("bias_hh"), [gates], .lateBias(stage: index)),
    ]
  }

  /// What `machineStage` has between the embedding and the readout.
  private var machineTensors: [FileTensor] {
    scalars(stage: 1, "input_") + cellTensors(stage: 2) { "controller.\($0)_l0" }
      + scalars(stage: 3, "controller_")
      + linear("interface", stage: 4) + scalars(stage: 5, "") + scalars(stage: 6, "output_")
  }

  private func scalars(stage index: Int, _ prefix: String) -> [FileTensor] {
    let (stage, count) = (stage(index), stage(index).cell.scalars.count)
    return stage.cell.scalars.enumerated().map {
      FileTensor(
        prefix + $0.element.name, [stage.scalarCount / count], .scalar(stage: index, number: $0.offset))
    }
  }

  /// `nn.Linear`
  private func linear(_ name: String, stage index: Int) -> [FileTensor] {
    linear(stage: index, weight: name + ".weight", bias: name + ".bias")
  }

  private func linear(stage index: Int, weight: String, bias: String) -> [FileTensor] {
    let stage = stage(index)
    return [
      FileTensor(weight, [stage.gates, stage.inputs], .matrix(stage: index, columns: 0..<stage.inputs)),
      FileTensor(bias, [stage.gates], .bias(stage: index, twin: nil)),
    ]
  }
}
