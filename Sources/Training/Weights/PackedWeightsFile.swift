import LongzooMemory
import LongzooModel

/// The files of `WeightsFile`, read into and written from packed weights through one small buffer, without a second copy.
///
/// The first layer's bias is part of the token table there: a file has it in `weight_ih_l0`, and zeros for `bias_ih_l0`.
package enum PackedWeightsFile {
  /// All tensors of a model, to be written or digested. `weights` must live until then.
  package static func tensors(_ weights: PackedWeights) -> [TensorToWrite] {
    let shape = weights.shape
    let (v, h, d, g) = (shape.vocabularySize, shape.hiddenSize, shape.headSize, shape.cell.rows)
    var tensors: [TensorToWrite] = []
    for layer in 0..<shape.layers {
      let kernel = shape.slice(.kernel(layer))
      tensors.append(
        rows("rnn.bias_ih_l\(layer)", [g * h]) {
          weights.biasElement(.bias(layer), WeightsFile.internalRow($0, shape))
        })
      tensors.append(
        rows("rnn.bias_hh_l\(layer)", [g * h]) {
          guard shape.cell.hasLateRow, $0 / h == g - 1 else { return nil }
          return weights.biasElement(.lateBias(layer), $0 % h)
        })
      tensors.append(
        rows("rnn.weight_hh_l\(layer)", [g * h, d]) {
          weights.row(kernel, WeightsFile.internalRow($0, shape)).part(kernel.columns - d..<kernel.columns)
        })
      if layer > 0 {
        tensors.append(
          rows("rnn.weight_ih_l\(layer)", [g * h, h]) {
            weights.row(kernel, WeightsFile.internalRow($0, shape)).part(0..<h)
          })
      }
    }
    tensors.append(
      rows("rnn.weight_ih_l0", [g * h, v]) { weights.tokens(ofGate: WeightsFile.internalRow($0, shape)) })
    tensors.append(rows("decoder.weight", [v, h]) { weights.row(shape.slice(.readout), $0) })
    tensors.append(rows("decoder.bias", [v]) { weights.biasElement(.readoutBias, $0) })
    return tensors
  }

  /// Fills all weights.
  /// - Throws: exit code 65 if a tensor is missing, is not of floats, has another shape, or has no place in the model.
  package static func read(
    _ file: SafetensorsReader, into weights: PackedWeights, through buffer: TransferBuffer,
    on pool: ThreadPool
  ) throws(RunFailure) {
    let shape = weights.shape
    let (v, h, d, g) = (shape.vocabularySize, shape.hiddenSize, shape.headSize, shape.cell.rows)
    try WeightsFile.requireNothingElse(in: file, shape)
    weights.clearReadoutBias()
    try readTable(file, into: weights, through: buffer, on: pool)
    for layer in 0..<shape.layers {
      let kernel = shape.slice(.kernel(layer))
      try fillRows(file, "rnn.weight_hh_l\(layer)", [g * h, d], through: buffer, on: pool) { row in
        weights.row(kernel, WeightsFile.internalRow(row, shape)).part(kernel.columns - d..<kernel.columns)
      }
      if layer > 0 {
        try fillRows(file, "rnn.weight_ih_l\(layer)", [g * h, h], through: buffer, on: pool) { row in
          weights.row(kernel, WeightsFile.internalRow(row, shape)).part(0..<h)
        }
      }
      try readBias(file, layer: layer, into: weights, through: buffer)
    }
    try fillRows(file, "decoder.weight", [v, h], through: buffer, on: pool) { row in
      weights.row(shape.slice(.readout), row)
    }
    let bias = try WeightsFile.floatEntry(file, "decoder.bias", [v])
    try file.read(bias, through: buffer.bytes) { first, values in
      for i in 0..<values.count { weights.bias(.readoutBias, first + i)!.pointee = values[i] }
    }
  }

  /// A layer's biases; the first layer's goes to every token's row.
  private static func readBias(
    _ file: SafetensorsReader, layer: Int, into weights: PackedWeights, through buffer: TransferBuffer
  ) throws(RunFailure) {
    let shape = weights.shape
    try WeightsFile.forEachBias(file, layer: layer, shape, through: buffer) { row, value, late in
      let gate = WeightsFile.internalRow(row, shape)
      if let late { weights.bias(.lateBias(layer), row % shape.hiddenSize)!.pointee = late }
      if let bias = weights.bias(.bias(layer), gate) {
        bias.pointee = value
      } else {
        let tokens = weights.tokens(ofGate: gate)
        for token in 0..<tokens.count { tokens.first[token * tokens.stride] += value }
      }
    }
  }

  private static func readTable(
    _ file: SafetensorsReader, into weights: PackedWeights, through buffer: TransferBuffer,
    on pool: ThreadPool
  ) throws(RunFailure) {
    let (shape, v, g) = (weights.shape, weights.shape.vocabularySize, weights.shape.cell.rows)
    let h = shape.hiddenSize
    guard let encoder = file["encoder.weight"] else {
      return try fillRows(file, "rnn.weight_ih_l0", [g * h, v], through: buffer, on: pool) { row in
        weights.tokens(ofGate: WeightsFile.internalRow(row, shape))
      }
    }
    let folding = try EmbeddingFolding(file, encoder, vocabulary: v, rows: g * h)
    try folding.forEachElement(through: buffer, on: pool) { row, token, sum in
      let tokens = weights.tokens(ofGate: WeightsFile.internalRow(row, shape))
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
  fileprivate func biasElement(_ tensor: Tensor, _ index: Int) -> WeightRow? {
    bias(tensor, index).map { WeightRow(first: $0, stride: 1, count: 1) }
  }
}
