import Model
import Stream

/// The model's tensors under PyTorch's names, for `nn.LSTM` on one-hot tokens and `nn.Linear`.
///
/// In memory gate rows are unit-major (4·u + g) and the token table is [V × 4H]; the file has gate-major rows (i, f, g, o) and
/// `weight_ih_l0` [4H × V]. With heads `weight_hh` is [4H × D]: the columns of the row's own head, which `nn.LSTM` does not
/// know. There is one bias: `bias_ih` holds it, `bias_hh` is zero; reading adds the two. A file with
/// `encoder.weight` [V × E] is read by folding the embedding into the table.
enum WeightsFile {
  /// All tensors of a model, to be written or digested. `parameters` must live until then.
  static func tensors(_ parameters: Parameters) -> [TensorToWrite] {
    let shape = parameters.shape
    let (v, h, d) = (shape.vocabularySize, shape.hiddenSize, shape.headSize)
    var tensors: [TensorToWrite] = []
    for layer in 0..<shape.layers {
      let kernel = parameters.pointer(shape.slice(.kernel(layer)))
      let bias = parameters.pointer(shape.slice(.bias(layer)))
      let width = shape.inputs(ofLayer: layer)
      tensors.append(floats("rnn.bias_ih_l\(layer)", [4 * h]) { bias[internalRow($0, h)] })
      tensors.append(floats("rnn.bias_hh_l\(layer)", [4 * h]) { _ in 0 })
      tensors.append(
        floats("rnn.weight_hh_l\(layer)", [4 * h, d]) {
          kernel[internalRow($0 / d, h) * width + width - d + $0 % d]
        })
      if layer > 0 {
        tensors.append(
          floats("rnn.weight_ih_l\(layer)", [4 * h, h]) { kernel[internalRow($0 / h, h) * width + $0 % h] })
      }
    }
    let table = parameters.pointer(shape.slice(.table))
    tensors.append(
      floats("rnn.weight_ih_l0", [4 * h, v]) { table[$0 % v * 4 * h + internalRow($0 / v, h)] })
    let readout = parameters.pointer(shape.slice(.readout))
    tensors.append(floats("decoder.weight", [v, h]) { readout[$0] })
    let readoutBias = parameters.pointer(shape.slice(.readoutBias))
    tensors.append(floats("decoder.bias", [v]) { readoutBias[$0] })
    return tensors
  }

  /// What `eval` has to know of the data that a model was trained on.
  static func metadata(_ c: RunConfiguration) -> [String: String] {
    ["longzoo.dtype": c.dtype.rawValue, "longzoo.targets": c.targets.rawValue]
  }

  /// The sizes of the model in a file.
  /// - Throws: exit code 65 if it is not one that `tensors` could have written, or its twin with an encoder.
  static func shape(of file: SafetensorsReader) throws(RunFailure) -> ModelShape {
    guard let recurrent = file["rnn.weight_hh_l0"]?.shape, recurrent.count == 2, recurrent[1] > 0,
      let decoder = file["decoder.weight"]?.shape, decoder.count == 2, decoder[0] > 0
    else {
      throw .badData("\(file.path) holds no language model: rnn.weight_hh_l0 or decoder.weight is missing")
    }
    let (hidden, head) = (recurrent[0] / 4, recurrent[1])
    guard recurrent[0] == 4 * hidden, hidden % head == 0, decoder[1] == hidden else {
      throw .badData(
        "\(file.path): rnn.weight_hh_l0 is \(recurrent), which is no LSTM's whose decoder.weight is \(decoder); only LSTMs are supported"
      )
    }
    let layers = (0..<ModelShape.maximumLayers).prefix { file["rnn.weight_hh_l\($0)"] != nil }.count
    return ModelShape(
      vocabularySize: decoder[0], hiddenSize: hidden, layers: layers, heads: hidden / head)
  }

  /// Reads all tensors into `parameters`.
  /// - Throws: exit code 65 if a tensor is missing, is not F32, or has another shape.
  static func read(_ file: SafetensorsReader, into parameters: Parameters) throws(RunFailure) {
    let shape = parameters.shape
    let (v, h, d) = (shape.vocabularySize, shape.hiddenSize, shape.headSize)
    for layer in 0..<shape.layers {
      let kernel = parameters.pointer(shape.slice(.kernel(layer)))
      let width = shape.inputs(ofLayer: layer)
      let recurrent = try floats(file, "rnn.weight_hh_l\(layer)", [4 * h, d])
      for i in 0..<4 * h * d { kernel[internalRow(i / d, h) * width + width - d + i % d] = recurrent[i] }
      if layer > 0 {
        let input = try floats(file, "rnn.weight_ih_l\(layer)", [4 * h, h])
        for i in 0..<4 * h * h { kernel[internalRow(i / h, h) * width + i % h] = input[i] }
      }
      let bias = parameters.pointer(shape.slice(.bias(layer)))
      let first = try floats(file, "rnn.bias_ih_l\(layer)", [4 * h])
      let second = try floats(file, "rnn.bias_hh_l\(layer)", [4 * h])
      for row in 0..<4 * h { bias[internalRow(row, h)] = first[row] + second[row] }
    }
    try readTable(file, into: parameters.pointer(shape.slice(.table)), v, h)
    let readout = try floats(file, "decoder.weight", [v, h])
    parameters.pointer(shape.slice(.readout)).update(from: readout, count: v * h)
    let bias = try floats(file, "decoder.bias", [v])
    parameters.pointer(shape.slice(.readoutBias)).update(from: bias, count: v)
  }

  private static func readTable(
    _ file: SafetensorsReader, into table: UnsafeMutablePointer<Float>, _ v: Int, _ h: Int
  ) throws(RunFailure) {
    guard let encoder = file["encoder.weight"] else {
      let input = try floats(file, "rnn.weight_ih_l0", [4 * h, v])
      for i in 0..<4 * h * v { table[i % v * 4 * h + internalRow(i / v, h)] = input[i] }
      return
    }
    let (embedding, width) = try embedding(file, encoder, vocabulary: v)
    let input = try floats(file, "rnn.weight_ih_l0", [4 * h, width])
    for token in 0..<v {
      for row in 0..<4 * h {
        var sum: Float = 0
        for k in 0..<width { sum += embedding[token * width + k] * input[row * width + k] }
        table[token * 4 * h + internalRow(row, h)] = sum
      }
    }
  }

  /// The embedding that `weight_ih_l0` multiplies, [V][width].
  static func embedding(
    _ file: SafetensorsReader, _ encoder: Safetensors.Entry, vocabulary v: Int
  ) throws(RunFailure) -> (values: [Float], width: Int) {
    guard encoder.shape.count == 2, encoder.shape[0] == v else {
      throw .badData("\(file.path): encoder.weight is \(encoder.shape), not [\(v), …]")
    }
    return (try floats(file, "encoder.weight", encoder.shape), encoder.shape[1])
  }

  /// From PyTorch's row g·H + u to 4·u + g.
  static func internalRow(_ row: Int, _ hidden: Int) -> Int { row % hidden * 4 + row / hidden }

  private static func floats(_ name: String, _ shape: [Int], _ value: @escaping (Int) -> Float)
    -> TensorToWrite
  {
    TensorToWrite(name: name, dtype: .f32, shape: shape) { offset, bytes in
      let out = bytes.assumingMemoryBound(to: Float.self)
      let first = offset / MemoryLayout<Float>.stride
      for i in 0..<out.count { out[i] = value(first + i) }
    }
  }

  private static func floats(_ file: SafetensorsReader, _ name: String, _ shape: [Int]) throws(RunFailure)
    -> [Float]
  {
    let entry = try floatEntry(file, name, shape)
    var values = [Float](repeating: 0, count: entry.elementCount)
    var room = values.mutableSpan
    try room.withUnsafeMutableBytes { (bytes) throws(RunFailure) in try file.read(name, into: bytes) }
    return values
  }

  /// A tensor of floats of this shape.
  static func floatEntry(
    _ file: SafetensorsReader, _ name: String, _ shape: [Int]
  ) throws(RunFailure) -> Safetensors.Entry {
    guard let entry = file[name] else { throw .badData("\(file.path) has no tensor \(name)") }
    guard entry.dtype == .f32, entry.shape == shape else {
      throw .badData("\(file.path): \(name) is \(entry.dtype.rawValue) \(entry.shape), not F32 \(shape)")
    }
    return entry
  }
}
