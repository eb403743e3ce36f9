import LongzooMemory
import LongzooModel

/// The files of `WeightsFile`, read into and written from packed weights through one small buffer, without a second copy.
///
/// The first stage's bias is part of the token table there: a file has it in `weight_ih_l0` or `embedding.weight`, and zeros for `bias_ih_l0`.
package enum PackedWeightsFile {
  /// All tensors of a model, to be written or digested. `weights` must live until then.
  package static func tensors(_ weights: PackedWeights) -> [TensorToWrite] {
    weights.shape.fileTensors.map { rows($0.name, $0.shape, weights.rows(of: $0.content)) }
  }

  /// Fills all weights.
  /// - Throws: exit code 65 if a tensor is missing, is not of floats, has another shape, or has no place in the model.
  package static func read(
    _ file: SafetensorsReader, into weights: PackedWeights, through buffer: TransferBuffer,
    on pool: ThreadPool
  ) throws(RunFailure) {
    try WeightsFile.requireNothingElse(in: file, weights.shape)
    weights.clearReadoutBias()
    for tensor in weights.shape.fileTensors {
      try read(tensor, of: file, into: weights, through: buffer, on: pool)
    }
  }

  private static func read(
    _ tensor: FileTensor, of file: SafetensorsReader, into weights: PackedWeights,
    through buffer: TransferBuffer, on pool: ThreadPool
  ) throws(RunFailure) {
    switch tensor.content {
    case .table: try readTable(tensor, of: file, into: weights, through: buffer, on: pool)
    case .embedding:
      try fillRows(file, tensor.name, tensor.shape, through: buffer, on: pool) {
        weights.embedding(ofToken: $0)
      }
      try WeightsFile.forEachEmbeddingBias(file, weights.shape, through: buffer) { column, value in
        weights.add(value, toGate: column)
      }
    case .matrix, .readout:
      let row = weights.rows(of: tensor.content)
      try fillRows(file, tensor.name, tensor.shape, through: buffer, on: pool) { row($0)! }
    case .bias(let index, let twin):
      try readBias(file, tensor.name, twin: twin, stage: index, into: weights, through: buffer)
    case .lateBias: break  // with its twin
    case .scalar, .readoutBias:
      let (row, entry) = (
        weights.rows(of: tensor.content), try WeightsFile.floatEntry(file, tensor.name, tensor.shape)
      )
      try file.read(entry, through: buffer.bytes) { first, values in
        for i in 0..<values.count { row(first + i)!.first.pointee = values[i] }
      }
    }
  }

  /// A stage's biases; the first stage's goes to every token's row.
  private static func readBias(
    _ file: SafetensorsReader, _ name: String, twin: String?, stage index: Int, into weights: PackedWeights,
    through buffer: TransferBuffer
  ) throws(RunFailure) {
    let stage = weights.shape.stage(index)
    try WeightsFile.forEachBias(file, name, twin: twin, stage, through: buffer) { row, value, late in
      let gate = WeightsFile.internalRow(row, stage)
      if let late { weights.bias(.scalars(index), row % stage.units)!.pointee = late }
      if let bias = weights.bias(.bias(index), gate) {
        bias.pointee = value
      } else {
        weights.add(value, toGate: gate)
      }
    }
  }

  private static func readTable(
    _ tensor: FileTensor, of file: SafetensorsReader, into weights: PackedWeights,
    through buffer: TransferBuffer, on pool: ThreadPool
  ) throws(RunFailure) {
    let (shape, stage) = (weights.shape, weights.shape.stage(0))
    guard let encoder = file["encoder.weight"] else {
      return try fillRows(file, tensor.name, tensor.shape, through: buffer, on: pool) { row in
        weights.tokens(ofGate: WeightsFile.internalRow(row, stage))
      }
    }
    let folding = try EmbeddingFolding(file, encoder, vocabulary: shape.vocabularySize, rows: stage.gates)
    try folding.forEachElement(through: buffer, on: pool) { row, token, sum in
      let tokens = weights.tokens(ofGate: WeightsFile.internalRow(row, stage))
      tokens.first[token * tokens.stride] = sum
    }
  }

  // MARK: Rows

  /// A tensor whose rows are somewhere else: nil is a row of zeros. Vectors are rows of one element.
  private static func rows(_ name: String, _ shape: [Int], _ row: @escaping (Int) -> WeightRow?)
    -> TensorToWrite
  {
    let width = shape.count > 1 ? shape[1] : 1
    return TensorToWrite(name: name, dtype: .f32, shape: shape) { offset, bytes in
      let out = bytes.assumingMemoryBound(to: Float.self)
      var next = offset / MemoryLayout<Float>.stride
      var written = 0
      while written < out.count {
        let column = next % width
        let count = min(width - column, out.count - written)
        let to = out.baseAddress! + written
        if let from = row(next / width) {
          from.part(column..<column + count).copy(to: to)
        } else {
          to.update(repeating: 0, count: count)
        }
        written += count
        next += count
      }
    }
  }

  /// Reads a matrix whose rows belong somewhere else, as many whole rows at a time as the buffer holds, shared by the threads;
  /// longer ones in parts.
  private static func fillRows(
    _ file: SafetensorsReader, _ name: String, _ shape: [Int], through buffer: TransferBuffer,
    on pool: ThreadPool, _ row: (Int) -> WeightRow
  ) throws(RunFailure) {
    let entry = try WeightsFile.floatEntry(file, name, shape)
    let width = max(1, shape[1])
    let fitting = buffer.bytes.count / (4 * width)
    let bytes = fitting > 0 ? buffer.bytes[..<(4 * fitting * width)] : buffer.bytes[...]
    try file.read(entry, through: UnsafeMutableRawBufferPointer(rebasing: bytes)) { first, values in
      guard fitting == 0 else {
        return pool.run(values.count / width) { index, _ in
          row(first / width + index).take(values.extracting(index * width..<(index + 1) * width))
        }
      }
      var next = 0
      while next < values.count {
        let column = (first + next) % width
        let count = min(width - column, values.count - next)
        row((first + next) / width).part(column..<column + count).take(values.extracting(next..<next + count))
        next += count
      }
    }
  }
}

extension WeightRow {
  fileprivate func part(_ range: Range<Int>) -> WeightRow {
    WeightRow(first: first + range.lowerBound * stride, stride: stride, count: range.count)
  }

  fileprivate func take(_ values: UnsafeBufferPointer<Float>) {
    for i in 0..<count { first[i * stride] = values[i] }
  }

  fileprivate func copy(to out: UnsafeMutablePointer<Float>) {
    for i in 0..<count { out[i] = first[i * stride] }
  }
}

extension PackedWeights {
  /// The rows of a file's tensor; nil: zeros.
  fileprivate func rows(of content: FileTensor.Content) -> (Int) -> WeightRow? {
    switch content {
    case .table:
      let stage = shape.stage(0)
      return { self.tokens(ofGate: WeightsFile.internalRow($0, stage)) }
    case .embedding: return { self.embedding(ofToken: $0) }
    case .matrix(let index, let columns):
      let (kernel, stage) = (shape.slice(.kernel(index)), shape.stage(index))
      return { self.row(kernel, WeightsFile.internalRow($0, stage)).part(columns) }
    case .bias(let index, _):
      let stage = shape.stage(index)
      return { self.biasElement(.bias(index), WeightsFile.internalRow($0, stage)) }
    case .lateBias(let index):
      let stage = shape.stage(index)
      guard stage.cell.hasLateRow else { return { _ in nil } }
      let first = stage.gates - stage.units
      return { $0 < first ? nil : self.biasElement(.scalars(index), $0 - first) }
    case .scalar(let index, let number):
      let count = shape.stage(index).cell.scalars.count
      return { self.biasElement(.scalars(index), $0 * count + number) }
    case .readout:
      let readout = shape.slice(.readout)
      return { self.row(readout, $0) }
    case .readoutBias: return { self.biasElement(.readoutBias, $0) }
    }
  }

  /// A token's row of the embedding, which is one head of one row a unit: in the kernels' order as in the model's.
  fileprivate func embedding(ofToken token: Int) -> WeightRow {
    WeightRow(first: gates(ofToken: token), stride: 1, count: shape.embeddingSize)
  }

  /// To every token's row.
  fileprivate func add(_ value: Float, toGate gate: Int) {
    let tokens = tokens(ofGate: gate)
    for token in 0..<tokens.count { tokens.first[token * tokens.stride] += value }
  }

  fileprivate func biasElement(_ tensor: Tensor, _ index: Int) -> WeightRow? {
    bias(tensor, index).map { WeightRow(first: $0, stride: 1, count: 1) }
  }
}
