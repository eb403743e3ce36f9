import LongzooMemory
import LongzooModel

/// A token table that a file holds as two factors: `encoder.weight` [V][E], and `rnn.weight_ih_l0` [4H][E] that multiplies it.
package struct EmbeddingFolding {
  private let file: SafetensorsReader
  private let embedding: Safetensors.Entry
  private let input: Safetensors.Entry
  private let width: Int

  /// - Parameter rows: 4H.
  /// - Throws: exit code 65 if the two do not fit together.
  package init(_ file: SafetensorsReader, _ encoder: Safetensors.Entry, vocabulary v: Int, rows: Int)
    throws(RunFailure)
  {
    guard encoder.shape.count == 2, encoder.shape[0] == v, encoder.shape[1] > 0 else {
      throw .badData("\(file.path): encoder.weight is \(encoder.shape), not [\(v), …]")
    }
    width = encoder.shape[1]
    guard 4 * width <= TransferBuffer.byteCount / 2 else {
      throw .badData("\(file.path): encoder.weight has rows of \(width) numbers, which is too many to fold")
    }
    self.file = file
    embedding = try WeightsFile.floatEntry(file, encoder.name, encoder.shape)
    input = try WeightsFile.floatEntry(file, "rnn.weight_ih_l0", [rows, width])
  }

  /// Each element of the table, row by row of the input; with a pool, `body` runs on its threads.
  package func forEachElement(
    through buffer: TransferBuffer, on pool: ThreadPool? = nil,
    _ body: (_ row: Int, _ token: Int, _ sum: Float) -> Void
  ) throws(RunFailure) {
    let (rows, tokens) = (input.shape[0], embedding.shape[0])
    let inputs = buffer.halves.0.assumingMemoryBound(to: Float.self)
    let embeddings = buffer.halves.1.assumingMemoryBound(to: Float.self)
    let most = inputs.count / max(1, width)
    for firstRow in stride(from: 0, to: rows, by: most) {
      let rowCount = min(most, rows - firstRow)
      try read(input, from: firstRow, count: rowCount, into: inputs)
      for firstToken in stride(from: 0, to: tokens, by: most) {
        let tokenCount = min(most, tokens - firstToken)
        try read(embedding, from: firstToken, count: tokenCount, into: embeddings)
        func fold(_ row: Int) {
          for token in 0..<tokenCount {
            var sum: Float = 0
            for k in 0..<width { sum += embeddings[token * width + k] * inputs[row * width + k] }
            body(firstRow + row, firstToken + token, sum)
          }
        }
        if let pool {
          pool.run(rowCount) { row, _ in fold(row) }
        } else {
          for row in 0..<rowCount { fold(row) }
        }
      }
    }
  }

  private func read(
    _ entry: Safetensors.Entry, from row: Int, count: Int, into out: UnsafeMutableBufferPointer<Float>
  ) throws(RunFailure) {
    try file.readFloats(entry, from: row * width, into: out.extracting(..<(count * width)))
  }
}
