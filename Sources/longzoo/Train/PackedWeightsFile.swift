import Model

/// The files of `WeightsFile`, read into and written from packed weights through one small buffer, without a second copy.
///
/// The first layer's bias is part of the token table there: a file has it in `weight_ih_l0`, and zeros for `bias_ih_l0`.
enum PackedWeightsFile {
  /// Bytes of the buffer that `read` takes for a moment.
  static let bufferBytes = 1 << 20

  /// All tensors of a model, to be written or digested. `weights` must live until then.
  static func tensors(_ weights: PackedWeights) -> [TensorToWrite] {
    let shape = weights.shape
    let (v, h, d) = (shape.vocabularySize, shape.hiddenSize, shape.headSize)
    var tensors: [TensorToWrite] = []
    for layer in 0..<shape.layers {
      let kernel = shape.slice(.kernel(layer))
      tensors.append(
        rows("rnn.bias_ih_l\(layer)", [4 * h]) {
          weights.biasElement(.bias(layer), WeightsFile.internalRow($0, h))
        })
      tensors.append(rows("rnn.bias_hh_l\(layer)", [4 * h]) { _ in nil })
      tensors.append(
        rows("rnn.weight_hh_l\(layer)", [4 * h, d]) {
          weights.row(kernel, WeightsFile.internalRow($0, h)).part(kernel.columns - d..<kernel.columns)
        })
      if layer > 0 {
        tensors.append(
          rows("rnn.weight_ih_l\(layer)", [4 * h, h]) {
            weights.row(kernel, WeightsFile.internalRow($0, h)).part(0..<h)
          })
      }
    }
    tensors.append(
      rows("rnn.weight_ih_l0", [4 * h, v]) { weights.tokens(ofGate: WeightsFile.internalRow($0, h)) })
    tensors.append(rows("decoder.weight", [v, h]) { weights.row(shape.slice(.readout), $0) })
    tensors.append(rows("decoder.bias", [v]) { weights.biasElement(.readoutBias, $0) })
    return tensors
  }

  /// Fills all weights.
  /// - Throws: exit code 65 if a tensor is missing, is not F32, or has another shape.
  static func read(
    _ file: SafetensorsReader, into weights: PackedWeights, on pool: ThreadPool
  ) throws(RunFailure) {
    let shape = weights.shape
    let (v, h, d) = (shape.vocabularySize, shape.hiddenSize, shape.headSize)
    weights.clearReadoutBias()
    try readTable(file, into: weights, on: pool)
    for layer in 0..<shape.layers {
      let kernel = shape.slice(.kernel(layer))
      try forEachRow(file, "rnn.weight_hh_l\(layer)", [4 * h, d], on: pool) { row, values in
        weights.row(kernel, WeightsFile.internalRow(row, h)).part(kernel.columns - d..<kernel.columns).take(
          values)
      }
      if layer > 0 {
        try forEachRow(file, "rnn.weight_ih_l\(layer)", [4 * h, h], on: pool) { row, values in
          weights.row(kernel, WeightsFile.internalRow(row, h)).part(0..<h).take(values)
        }
      }
      try readBias(file, layer: layer, into: weights)
    }
    try forEachRow(file, "decoder.weight", [v, h], on: pool) { row, values in
      weights.row(shape.slice(.readout), row).take(values)
    }
    try forEachRow(file, "decoder.bias", [v]) { row, value in
      weights.bias(.readoutBias, row)!.pointee = value[0]
    }
  }

  /// The sum of a layer's two biases; the first layer's goes to every token's row.
  private static func readBias(
    _ file: SafetensorsReader, layer: Int, into weights: PackedWeights
  ) throws(RunFailure) {
    let h = weights.shape.hiddenSize
    var sums = [Float](repeating: 0, count: 4 * h)
    try forEachRow(file, "rnn.bias_ih_l\(layer)", [4 * h]) { row, value in sums[row] = value[0] }
    try forEachRow(file, "rnn.bias_hh_l\(layer)", [4 * h]) { row, value in sums[row] += value[0] }
    for row in 0..<4 * h {
      let gate = WeightsFile.internalRow(row, h)
      if let bias = weights.bias(.bias(layer), gate) {
        bias.pointee = sums[row]
        continue
      }
      let tokens = weights.tokens(ofGate: gate)
      for token in 0..<tokens.count { tokens.first[token * tokens.stride] += sums[row] }
    }
  }

  private static func readTable(
    _ file: SafetensorsReader, into weights: PackedWeights, on pool: ThreadPool
  ) throws(RunFailure) {
    let (v, h) = (weights.shape.vocabularySize, weights.shape.hiddenSize)
    guard let encoder = file["encoder.weight"] else {
      return try forEachRow(file, "rnn.weight_ih_l0", [4 * h, v], on: pool) { row, values in
        weights.tokens(ofGate: WeightsFile.internalRow(row, h)).take(values)
      }
    }
    let (embedding, width) = try WeightsFile.embedding(file, encoder, vocabulary: v)
    try forEachRow(file, "rnn.weight_ih_l0", [4 * h, width], on: pool) { row, values in
      let tokens = weights.tokens(ofGate: WeightsFile.internalRow(row, h))
      for token in 0..<v {
        var sum: Float = 0
        for k in 0..<width { sum += embedding[token * width + k] * values[k] }
        tokens.first[token * tokens.stride] = sum
      }
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

  /// Reads a tensor row by row, as many rows at a time as the buffer holds; with a pool, `body` runs on its threads.
  private static func forEachRow(
    _ file: SafetensorsReader, _ name: String, _ shape: [Int], on pool: ThreadPool? = nil,
    _ body: (Int, UnsafePointer<Float>) -> Void
  ) throws(RunFailure) {
    let entry = try WeightsFile.floatEntry(file, name, shape)
    let (rows, width) = (shape[0], shape.count > 1 ? shape[1] : 1)
    let rowBytes = width * MemoryLayout<Float>.stride
    let most = max(1, bufferBytes / max(1, rowBytes))
    let buffer = UnsafeMutablePointer<Float>.allocate(capacity: min(most, max(1, rows)) * max(1, width))
    defer { buffer.deallocate() }
    for first in stride(from: 0, to: rows, by: most) {
      let count = min(most, rows - first)
      try file.read(
        entry, from: first * rowBytes,
        into: UnsafeMutableRawBufferPointer(start: buffer, count: count * rowBytes))
      if let pool {
        pool.run(count) { row, _ in body(first + row, buffer + row * width) }
      } else {
        for row in 0..<count { body(first + row, buffer + row * width) }
      }
    }
  }
}

extension WeightRow {
  fileprivate func part(_ range: Range<Int>) -> WeightRow {
    WeightRow(first: first + range.lowerBound * stride, stride: stride, count: range.count)
  }

  fileprivate func take(_ values: UnsafePointer<Float>) {
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
