import LongzooMemory
import LongzooModel
import LongzooStream

/// The model's tensors under PyTorch's names, for `nn.LSTM`, `nn.GRU` or `nn.RNN` on one-hot tokens and `nn.Linear`.
///
/// In memory gate rows are unit-major (G·u + g) and the token table is [V × GH]; the file has gate-major rows (g·H + u) and
/// `weight_ih_l0` [GH × V]. With heads `weight_hh` is [GH × D]: the columns of the row's own head, which PyTorch does not
/// know. Rows have one bias: `bias_ih` holds it, `bias_hh` is zero but for late rows; reading adds the two. A file with
/// `encoder.weight` [V × E] is read by folding the embedding into the table.
package enum WeightsFile {
  /// All tensors of a model, to be written or digested. `parameters` must live until then.
  package static func tensors(_ parameters: Parameters) -> [TensorToWrite] {
    let shape = parameters.shape
    let (v, h, d, rows) = (shape.vocabularySize, shape.hiddenSize, shape.headSize, shape.cell.rows)
    var tensors: [TensorToWrite] = []
    for layer in 0..<shape.layers {
      let kernel = parameters.pointer(shape.slice(.kernel(layer)))
      let bias = parameters.pointer(shape.slice(.bias(layer)))
      let width = shape.stage(layer).inputs
      tensors.append(floats("rnn.bias_ih_l\(layer)", [rows * h]) { bias[internalRow($0, shape)] })
      tensors.append(floats("rnn.bias_hh_l\(layer)", [rows * h], lateBias(parameters, layer: layer)))
      tensors.append(
        floats("rnn.weight_hh_l\(layer)", [rows * h, d]) {
          kernel[internalRow($0 / d, shape) * width + width - d + $0 % d]
        })
      if layer > 0 {
        tensors.append(
          floats("rnn.weight_ih_l\(layer)", [rows * h, h]) {
            kernel[internalRow($0 / h, shape) * width + $0 % h]
          })
      }
    }
    let table = parameters.pointer(shape.slice(.table))
    tensors.append(
      floats("rnn.weight_ih_l0", [rows * h, v]) { table[$0 % v * rows * h + internalRow($0 / v, shape)] })
    let readout = parameters.pointer(shape.slice(.readout))
    tensors.append(floats("decoder.weight", [v, h]) { readout[$0] })
    let readoutBias = parameters.pointer(shape.slice(.readoutBias))
    tensors.append(floats("decoder.bias", [v]) { readoutBias[$0] })
    return tensors
  }

  /// `bias_hh`: zeros but for late rows, which are a unit's last.
  private static func lateBias(_ parameters: Parameters, layer: Int) -> (Int) -> Float {
    let shape = parameters.shape
    guard shape.cell.hasLateRow else { return { _ in 0 } }
    let bias = parameters.pointer(shape.slice(.lateBias(layer)))
    let first = (shape.cell.rows - 1) * shape.hiddenSize
    return { $0 < first ? 0 : bias[$0 - first] }
  }

  /// What `eval` has to know of the data that a model was trained on, and of the model what its tensors do not say.
  /// - Parameters:
  ///   - step: of the weights.
  ///   - heldOut: what was measured of them; nil: nothing.
  package static func metadata(_ c: RunPlan, step: Int, heldOut: Evaluation?) -> [String: String] {
    var metadata = dataMetadata(c)
    metadata[cellKey] = c.model.cell.name
    metadata[stepKey] = "\(step)"
    if let heldOut {
      metadata[lossKey] = "\(heldOut.lossNats)"
      metadata[targetsKey] = "\(heldOut.targets)"
    }
    return metadata
  }

  /// How the data is stored.
  package static func dataMetadata(_ c: RunPlan) -> [String: String] {
    ["longzoo.dtype": c.data.tokenType.rawValue, "longzoo.targets": c.data.targets.rawValue]
  }

  package static let cellKey = "longzoo.cell"
  private static let stepKey = "longzoo.step"
  private static let lossKey = "longzoo.val_loss_nats"
  private static let targetsKey = "longzoo.val_targets"

  /// What a file says of its weights; nil where they were not measured.
  package static func heldOutPoint(of file: SafetensorsReader) -> HeldOutRecord.Point? {
    guard let step = file.metadata[stepKey].flatMap({ Int($0) }), step >= 0,
      let loss = file.metadata[lossKey].flatMap({ Double($0) }), loss.isFinite,
      let targets = file.metadata[targetsKey].flatMap({ Int($0) }), targets > 0
    else { return nil }
    return HeldOutRecord.Point(step: step, lossNats: loss, targets: targets)
  }

  /// What a file says of the data that its model was trained on: checkpoints of older versions in their configuration.
  package static func data(of file: SafetensorsReader) -> (dtype: TokenType?, targets: TargetChoice?) {
    let dtype = file.metadata["longzoo.dtype"].flatMap(TokenType.init(rawValue:))
    let targets = file.metadata["longzoo.targets"].flatMap(TargetChoice.init(rawValue:))
    guard dtype == nil || targets == nil else { return (dtype, targets) }
    let plan = try? Checkpoint.state(of: file).plan
    return (dtype ?? plan?.data.tokenType, targets ?? plan?.data.targets)
  }

  /// The sizes of the model in a file.
  /// - Parameter known: the cell, where something else than the file's metadata has said it.
  /// - Throws: exit code 65 if it is not one that `tensors` could have written, or its twin with an encoder.
  package static func shape(
    of file: SafetensorsReader, cell known: Cell? = nil
  ) throws(RunFailure) -> ModelShape {
    guard let recurrent = file["rnn.weight_hh_l0"]?.shape, recurrent.count == 2, recurrent[1] > 0,
      let decoder = file["decoder.weight"]?.shape, decoder.count == 2, decoder[0] > 0
    else {
      throw .badData("\(file.path) holds no language model: rnn.weight_hh_l0 or decoder.weight is missing")
    }
    let (hidden, head) = (decoder[1], recurrent[1])
    guard hidden > 0, hidden % head == 0,
      let cell = try cell(of: file, known, rows: recurrent[0], hidden: hidden)
    else {
      throw .badData(
        "\(file.path): rnn.weight_hh_l0 is \(recurrent), which no cell has whose decoder.weight is \(decoder)"
      )
    }
    guard decoder[0] <= ModelShape.largest, hidden <= ModelShape.largest, head <= ModelShape.largestHead,
      decoder[0] * hidden <= ModelShape.largestMatrix
    else {
      throw .badData(
        "\(file.path): a model of \(decoder[0]) ids and \(hidden) units in heads of \(head) is larger than longzoo takes"
      )
    }
    let layers = (0..<ModelShape.maximumLayers).prefix { file["rnn.weight_hh_l\($0)"] != nil }.count
    return ModelShape(
      vocabularySize: decoder[0], hiddenSize: hidden, layers: layers, heads: hidden / head, cell: cell)
  }

  /// The cell that a file names; otherwise the first that has as many rows: PyTorch's `nn.LSTM`, `nn.GRU` or `nn.RNN` with tanh.
  /// - Throws: exit code 65, if there is no cell of the name.
  private static func cell(
    of file: SafetensorsReader, _ known: Cell?, rows: Int, hidden: Int
  ) throws(RunFailure) -> Cell? {
    guard let name = known?.name ?? file.metadata[cellKey] ?? checkpointCell(of: file) else {
      return Cell.all.first { $0.rows * hidden == rows }
    }
    guard let cell = Cell.named(name) else { throw .badData("\(file.path): there is no cell \"\(name)\"") }
    return cell.rows * hidden == rows ? cell : nil
  }

  /// A checkpoint says it in its configuration.
  private static func checkpointCell(of file: SafetensorsReader) -> String? {
    (try? Checkpoint.state(of: file).plan)?.model.cell.name
  }

  /// Refuses tensors that no model of this shape has, such as those of more layers: without them it would be another model.
  /// - Throws: exit code 65.
  package static func requireNothingElse(in file: SafetensorsReader, _ shape: ModelShape) throws(RunFailure) {
    var known: Set = ["decoder.weight", "decoder.bias", "encoder.weight"]
    for layer in 0..<shape.layers {
      for part in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"] { known.insert("rnn.\(part)_l\(layer)") }
    }
    // What a checkpoint holds besides has the program's name.
    guard
      let other = file.entries.first(where: { !known.contains($0.name) && !$0.name.hasPrefix("longzoo.") })
    else { return }
    let layers = (0..<ModelShape.maximumLayers).prefix { file["rnn.weight_hh_l\($0)"] != nil }.count
    throw .badData(
      "\(file.path): tensor \"\(other.name)\" has no place in a model of \(shape.layers) layer\(shape.layers == 1 ? "" : "s"), and would be lost"
        + (layers > shape.layers
          ? "; give \(.layers) \(layers)" : "; only models with one readout are supported"))
  }

  /// Reads all tensors into `parameters`.
  /// - Throws: exit code 65 if a tensor is missing, is not of floats, has another shape, or has no place in the model.
  package static func read(
    _ file: SafetensorsReader, into parameters: Parameters, through buffer: TransferBuffer
  ) throws(RunFailure) {
    let shape = parameters.shape
    try requireNothingElse(in: file, shape)
    let (v, h, d, rows) = (shape.vocabularySize, shape.hiddenSize, shape.headSize, shape.cell.rows)
    for layer in 0..<shape.layers {
      let kernel = parameters.pointer(shape.slice(.kernel(layer)))
      let width = shape.stage(layer).inputs
      try forEachFloat(file, "rnn.weight_hh_l\(layer)", [rows * h, d], through: buffer) { i, value in
        kernel[internalRow(i / d, shape) * width + width - d + i % d] = value
      }
      if layer > 0 {
        try forEachFloat(file, "rnn.weight_ih_l\(layer)", [rows * h, h], through: buffer) { i, value in
          kernel[internalRow(i / h, shape) * width + i % h] = value
        }
      }
      let bias = parameters.pointer(shape.slice(.bias(layer)))
      let lateBias = shape.cell.hasLateRow ? parameters.pointer(shape.slice(.lateBias(layer))) : nil
      try forEachBias(file, layer: layer, shape, through: buffer) { row, value, late in
        bias[internalRow(row, shape)] = value
        if let late { lateBias?[row % h] = late }
      }
    }
    let table = parameters.pointer(shape.slice(.table))
    if let encoder = file["encoder.weight"] {
      let folding = try EmbeddingFolding(file, encoder, vocabulary: v, rows: rows * h)
      try folding.forEachElement(through: buffer) { row, token, sum in
        table[token * rows * h + internalRow(row, shape)] = sum
      }
    } else {
      try forEachFloat(file, "rnn.weight_ih_l0", [rows * h, v], through: buffer) { i, value in
        table[i % v * rows * h + internalRow(i / v, shape)] = value
      }
    }
    let readout = parameters.pointer(shape.slice(.readout))
    try forEachFloat(file, "decoder.weight", [v, h], through: buffer) { i, value in readout[i] = value }
    let bias = parameters.pointer(shape.slice(.readoutBias))
    try forEachFloat(file, "decoder.bias", [v], through: buffer) { i, value in bias[i] = value }
  }

  /// A layer's biases: of its rows, the sum of two, and of late rows' products with the own state.
  package static func forEachBias(
    _ file: SafetensorsReader, layer: Int, _ shape: ModelShape, through buffer: TransferBuffer,
    _ body: (_ row: Int, _ bias: Float, _ late: Float?) -> Void
  ) throws(RunFailure) {
    let (h, rows) = (shape.hiddenSize, shape.cell.rows)
    let firstLate = shape.cell.hasLateRow ? (rows - 1) * h : rows * h
    let entries = [
      try floatEntry(file, "rnn.bias_ih_l\(layer)", [rows * h]),
      try floatEntry(file, "rnn.bias_hh_l\(layer)", [rows * h]),
    ]
    let halves = [buffer.halves.0, buffer.halves.1].map { $0.assumingMemoryBound(to: Float.self) }
    for first in stride(from: 0, to: rows * h, by: halves[0].count) {
      let count = min(halves[0].count, rows * h - first)
      for (entry, half) in zip(entries, halves) {
        try file.readFloats(entry, from: first, into: half.extracting(..<count))
      }
      for i in 0..<count {
        let (input, own) = (halves[0][i], halves[1][i])
        if first + i < firstLate { body(first + i, input + own, nil) } else { body(first + i, input, own) }
      }
    }
  }

  /// From PyTorch's row g·H + u to G·u + g.
  package static func internalRow(_ row: Int, _ shape: ModelShape) -> Int {
    row % shape.hiddenSize * shape.cell.rows + row / shape.hiddenSize
  }

  private static func floats(_ name: String, _ shape: [Int], _ value: @escaping (Int) -> Float)
    -> TensorToWrite
  {
    TensorToWrite(name: name, dtype: .f32, shape: shape) { offset, bytes in
      let out = bytes.assumingMemoryBound(to: Float.self)
      let first = offset / MemoryLayout<Float>.stride
      for i in 0..<out.count { out[i] = value(first + i) }
    }
  }

  private static func forEachFloat(
    _ file: SafetensorsReader, _ name: String, _ shape: [Int], through buffer: TransferBuffer,
    _ body: (Int, Float) -> Void
  ) throws(RunFailure) {
    try file.read(floatEntry(file, name, shape), through: buffer.bytes) { first, values in
      for i in 0..<values.count { body(first + i, values[i]) }
    }
  }

  /// A tensor of floats of 32 or 16 bits, of this shape.
  package static func floatEntry(
    _ file: SafetensorsReader, _ name: String, _ shape: [Int]
  ) throws(RunFailure) -> Safetensors.Entry {
    guard let entry = file[name] else { throw .badData("\(file.path) has no tensor \(name)") }
    guard entry.dtype.isFloat32OrNarrower, entry.shape == shape else {
      throw .badData(
        "\(file.path): \(name) is \(entry.dtype.rawValue) \(entry.shape), not F32, F16 or BF16 \(shape)")
    }
    return entry
  }
}
