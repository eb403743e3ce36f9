import LongzooMemory
import LongzooModel
import LongzooStream

/// The model's tensors under PyTorch's names, for `nn.LSTM`, `nn.GRU` or `nn.RNN` on one-hot tokens and `nn.Linear`; `FileTensor` has them.
///
/// In memory gate rows are unit-major (G·u + g) and the token table is [V × GH]; the file has gate-major rows (g·H + u) and
/// `weight_ih_l0` [GH × V]. With heads `weight_hh` is [GH × D]: the columns of the row's own head, which PyTorch does not
/// know. Rows have one bias: `bias_ih` holds it, `bias_hh` is zero but for late rows; reading adds the two. A file with
/// `encoder.weight` [V × E] is read by folding that embedding into the table; a model that has an embedding of its own has
/// `embedding.weight`, and residual blocks have `blocks.…`.
package enum WeightsFile {
  /// All tensors of a model, to be written or digested. `parameters` must live until then.
  /// - Parameter isExact: an embedding's bias is a tensor of its own: a sum would be rounded.
  package static func tensors(_ parameters: Parameters, isExact: Bool = false) -> [TensorToWrite] {
    let shape = parameters.shape
    let tensors = shape.fileTensors.map {
      floats($0.name, $0.shape, values(of: $0.content, parameters, isExact: isExact))
    }
    guard isExact, shape.embeddingSize > 0 else { return tensors }
    let bias = parameters.pointer(shape.slice(.bias(0)))
    return tensors + [floats(ModelShape.embeddingBias, [shape.embeddingSize]) { bias[$0] }]
  }

  private static func values(
    of content: FileTensor.Content, _ parameters: Parameters, isExact: Bool
  ) -> (Int) -> Float {
    let shape = parameters.shape
    func pointer(_ tensor: Tensor) -> UnsafeMutablePointer<Float> { parameters.pointer(shape.slice(tensor)) }
    switch content {
    case .table:
      let (table, stage, v) = (pointer(.table), shape.stage(0), shape.vocabularySize)
      let gates = stage.gates
      return { table[$0 % v * gates + internalRow($0 / v, stage)] }
    case .embedding:
      let (table, bias, width) = (pointer(.table), pointer(.bias(0)), shape.embeddingSize)
      return isExact ? { table[$0] } : { table[$0] + bias[$0 % width] }
    case .matrix(let index, let columns):
      let (kernel, stage) = (pointer(.kernel(index)), shape.stage(index))
      let (width, first, count) = (stage.inputs, columns.lowerBound, columns.count)
      return { kernel[internalRow($0 / count, stage) * width + first + $0 % count] }
    case .bias(let index, _):
      let (bias, stage) = (pointer(.bias(index)), shape.stage(index))
      return { bias[internalRow($0, stage)] }
    case .lateBias(let index):
      let stage = shape.stage(index)
      guard stage.cell.hasLateRow else { return { _ in 0 } }
      let (bias, first) = (pointer(.scalars(index)), stage.gates - stage.units)
      return { $0 < first ? 0 : bias[$0 - first] }
    case .scalar(let index, let number):
      let (scalars, count) = (pointer(.scalars(index)), shape.stage(index).cell.scalars.count)
      return { scalars[$0 * count + number] }
    case .readout:
      let readout = pointer(.readout)
      return { readout[$0] }
    case .readoutBias:
      let bias = pointer(.readoutBias)
      return { bias[$0] }
    }
  }

  /// What `eval` has to know of the data that a model was trained on, and of the model what its tensors do not say.
  /// - Parameters:
  ///   - step: of the weights.
  ///   - heldOut: what was measured of them; nil: nothing.
  package static func metadata(_ c: RunPlan, step: Int, heldOut: Evaluation?) -> [String: String] {
    var metadata = dataMetadata(c)
    metadata[cellKey] = c.model.cell.name
    if c.model.cell.isWholeModel {
      metadata[slotsKey] = "\(c.model.memorySlots)"
      metadata[emptyKey] = "\(c.model.emptyMemory)"
    }
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
  static let slotsKey = "longzoo.memory_slots"
  static let emptyKey = "longzoo.empty_memory"
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

  /// Reads all tensors into `parameters`.
  /// - Throws: exit code 65 if a tensor is missing, is not of floats, has another shape, or has no place in the model.
  package static func read(
    _ file: SafetensorsReader, into parameters: Parameters, through buffer: TransferBuffer
  ) throws(RunFailure) {
    let shape = parameters.shape
    try requireNothingElse(in: file, shape)
    for tensor in shape.fileTensors {
      try read(tensor, of: file, into: parameters, through: buffer)
    }
  }

  private static func read(
    _ tensor: FileTensor, of file: SafetensorsReader, into parameters: Parameters,
    through buffer: TransferBuffer
  ) throws(RunFailure) {
    let shape = parameters.shape
    func pointer(_ tensor: Tensor) -> UnsafeMutablePointer<Float> { parameters.pointer(shape.slice(tensor)) }
    func forEachFloat(_ body: (Int, Float) -> Void) throws(RunFailure) {
      try self.forEachFloat(file, tensor.name, tensor.shape, through: buffer, body)
    }
    switch tensor.content {
    case .table: try readTable(tensor, of: file, into: pointer(.table), shape, through: buffer)
    case .embedding:
      let (table, bias) = (pointer(.table), pointer(.bias(0)))
      try forEachFloat { i, value in table[i] = value }
      try forEachEmbeddingBias(file, shape, through: buffer) { i, value in bias[i] = value }
    case .matrix(let index, let columns):
      let (kernel, stage) = (pointer(.kernel(index)), shape.stage(index))
      let (width, first, count) = (stage.inputs, columns.lowerBound, columns.count)
      try forEachFloat { i, value in
        kernel[internalRow(i / count, stage) * width + first + i % count] = value
      }
    case .bias(let index, let twin):
      let (bias, stage) = (pointer(.bias(index)), shape.stage(index))
      let lateBias = stage.cell.hasLateRow ? pointer(.scalars(index)) : nil
      try forEachBias(file, tensor.name, twin: twin, stage, through: buffer) { row, value, late in
        bias[internalRow(row, stage)] = value
        if let late { lateBias?[row % stage.units] = late }
      }
    case .lateBias: break  // with its twin
    case .scalar(let index, let number):
      let (scalars, count) = (pointer(.scalars(index)), shape.stage(index).cell.scalars.count)
      try forEachFloat { unit, value in scalars[unit * count + number] = value }
    case .readout:
      let readout = pointer(.readout)
      try forEachFloat { i, value in readout[i] = value }
    case .readoutBias:
      let bias = pointer(.readoutBias)
      try forEachFloat { i, value in bias[i] = value }
    }
  }

  private static func readTable(
    _ tensor: FileTensor, of file: SafetensorsReader, into table: UnsafeMutablePointer<Float>,
    _ shape: ModelShape, through buffer: TransferBuffer
  ) throws(RunFailure) {
    let (v, stage) = (shape.vocabularySize, shape.stage(0))
    let gates = stage.gates
    guard let encoder = file["encoder.weight"] else {
      return try forEachFloat(file, tensor.name, tensor.shape, through: buffer) { i, value in
        table[i % v * gates + internalRow(i / v, stage)] = value
      }
    }
    let folding = try EmbeddingFolding(file, encoder, vocabulary: v, rows: gates)
    try folding.forEachElement(through: buffer) { row, token, sum in
      table[token * gates + internalRow(row, stage)] = sum
    }
  }

  /// The bias of the embedding's columns: zeros, but in checkpoints.
  static func forEachEmbeddingBias(
    _ file: SafetensorsReader, _ shape: ModelShape, through buffer: TransferBuffer,
    _ body: (Int, Float) -> Void
  ) throws(RunFailure) {
    guard file[ModelShape.embeddingBias] != nil else {
      for column in 0..<shape.embeddingSize { body(column, 0) }
      return
    }
    try forEachFloat(file, ModelShape.embeddingBias, [shape.embeddingSize], through: buffer, body)
  }

  /// The biases of a stage: of its rows, the sum with the twin's, and of late rows' products with the own state.
  static func forEachBias(
    _ file: SafetensorsReader, _ name: String, twin: String?, _ stage: Stage,
    through buffer: TransferBuffer, _ body: (_ row: Int, _ bias: Float, _ late: Float?) -> Void
  ) throws(RunFailure) {
    let gates = stage.gates
    guard let twin else {
      return try forEachFloat(file, name, [gates], through: buffer) { row, value in body(row, value, nil) }
    }
    let firstLate = stage.cell.hasLateRow ? gates - stage.units : gates
    let entries = [try floatEntry(file, name, [gates]), try floatEntry(file, twin, [gates])]
    let halves = [buffer.halves.0, buffer.halves.1].map { $0.assumingMemoryBound(to: Float.self) }
    for first in stride(from: 0, to: gates, by: halves[0].count) {
      let count = min(halves[0].count, gates - first)
      for (entry, half) in zip(entries, halves) {
        try file.readFloats(entry, from: first, into: half.extracting(..<count))
      }
      for i in 0..<count {
        let (input, own) = (halves[0][i], halves[1][i])
        if first + i < firstLate { body(first + i, input + own, nil) } else { body(first + i, input, own) }
      }
    }
  }

  /// From the file's row g·H + u of a stage to G·u + g.
  static func internalRow(_ row: Int, _ stage: Stage) -> Int {
    row % stage.units * stage.cell.rows + row / stage.units
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
