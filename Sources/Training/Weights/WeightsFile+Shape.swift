import LongzooMemory
import LongzooModel

/// What a file says of its model: the cell by name, all else by its tensors.
extension WeightsFile {
  /// The sizes of the model in a file.
  /// - Parameter known: what a checkpoint's configuration says of what its tensors do not.
  /// - Throws: exit code 65 if it is not one that `tensors` could have written, or its twin with an encoder.
  package static func shape(
    of file: SafetensorsReader, as known: ModelPlan? = nil
  ) throws(RunFailure) -> ModelShape {
    if file["interface.weight"] != nil { return try machineShape(of: file, known) }
    let block: BlockKind =
      file[BlockKind.residual.cellTensor("weight_ih", layer: 0)] == nil ? .plain : .residual
    let ownName = block.cellTensor("weight_hh", layer: 0)
    // Rows that read no own state have no such matrix.
    let own = file[ownName]
    guard let first = own ?? file[block.cellTensor("weight_ih", layer: 0)],
      first.shape.count == 2, first.shape[1] > 0,
      let decoder = file["decoder.weight"]?.shape, decoder.count == 2, decoder[0] > 0
    else {
      throw .badData("\(file.path) holds no language model: \(ownName) or decoder.weight is missing")
    }
    let hidden = decoder[1]
    let head = own?.shape[1] ?? max(1, hidden)
    guard hidden > 0, hidden % head == 0,
      let cell = try cell(
        of: file, known?.cell,
        where: { $0.rows * hidden == first.shape[0] && $0.readsOwnState == (own != nil) })
    else {
      throw .badData(
        "\(file.path): \(first.name) is \(first.shape), which no cell has whose decoder.weight is \(decoder)"
      )
    }
    let embedding = try embeddingSize(of: file, ids: decoder[0], block)
    guard decoder[0] <= ModelShape.largest, max(hidden, embedding) <= ModelShape.largest,
      own == nil || head <= ModelShape.largestHead,
      decoder[0] * max(hidden, embedding) <= ModelShape.largestMatrix
    else {
      throw .badData(
        "\(file.path): a model of \(decoder[0]) ids and \(hidden) units in heads of \(head)"
          + (embedding > 0 ? " on an embedding of \(embedding)" : "") + " is larger than longzoo takes")
    }
    return ModelShape(
      vocabularySize: decoder[0], hiddenSize: hidden, layers: layers(in: file, block), heads: hidden / head,
      cell: cell, block: block, embeddingSize: embedding)
  }

  /// Of a model with a memory: its slots, of which no tensor knows, are in the metadata, or a checkpoint's configuration.
  private static func machineShape(
    of file: SafetensorsReader, _ known: ModelPlan?
  ) throws(RunFailure) -> ModelShape {
    let plan = known ?? (try? Checkpoint.state(of: file).plan)?.model
    let slots = file.metadata[slotsKey].flatMap { Int($0) } ?? plan?.memorySlots ?? 0
    guard let decoder = file["decoder.weight"]?.shape, decoder.count == 2, decoder[0] > 0,
      let width = file["memory_norm.weight"]?.shape, width.count == 1, width[0] > 0,
      decoder[1] > 0, decoder[1] % (2 * width[0]) == 0, (1...ModelShape.largest).contains(slots)
    else {
      throw .badData(
        "\(file.path) holds no model with a memory: decoder.weight, memory_norm.weight or \(slotsKey) is missing"
      )
    }
    let (hidden, embedding) = (decoder[1] / 2, try embeddingSize(of: file, ids: decoder[0], .residual))
    guard decoder[0] <= ModelShape.largest, max(hidden, embedding) <= ModelShape.largest,
      decoder[0] * max(hidden, embedding) <= ModelShape.largestMatrix, slots * width[0] <= 1 << 31
    else { throw .badData("\(file.path) holds a model that is larger than longzoo takes") }
    var shape = ModelShape(
      vocabularySize: decoder[0], hiddenSize: hidden, cell: .dnc, embeddingSize: embedding)
    (shape.memorySlots, shape.readHeads) = (slots, hidden / width[0])
    shape.startsEmpty = file.metadata[emptyKey].map { $0 == "true" } ?? plan?.emptyMemory ?? false
    return shape
  }

  /// E; 0: there is no embedding.
  /// - Throws: exit code 65 if it is not one, or blocks have none.
  private static func embeddingSize(
    of file: SafetensorsReader, ids: Int, _ block: BlockKind
  ) throws(RunFailure) -> Int {
    guard let embedding = file["embedding.weight"]?.shape else {
      if block == .plain { return 0 }
      throw .badData("\(file.path) has residual blocks and no embedding.weight, which they begin with")
    }
    guard embedding.count == 2, embedding[0] == ids, embedding[1] > 0 else {
      throw .badData("\(file.path): embedding.weight is \(embedding), not [\(ids), …]")
    }
    return embedding[1]
  }

  private static func layers(in file: SafetensorsReader, _ block: BlockKind) -> Int {
    (0..<ModelShape.maximumLayers).prefix { layer in
      ["weight_hh", "weight_ih"].contains { file[block.cellTensor($0, layer: layer)] != nil }
    }.count
  }

  /// The cell that a file names; otherwise the first that fits: PyTorch's `nn.LSTM`, `nn.GRU` or `nn.RNN` with tanh.
  /// - Returns: nil if it does not fit.
  /// - Throws: exit code 65, if there is no cell of the name.
  private static func cell(
    of file: SafetensorsReader, _ known: Cell?, where fits: (Cell) -> Bool
  ) throws(RunFailure) -> Cell? {
    guard let name = known?.name ?? file.metadata[cellKey] ?? checkpointCell(of: file) else {
      return Cell.all.first(where: fits)
    }
    guard let cell = Cell.named(name) else { throw .badData("\(file.path): there is no cell \"\(name)\"") }
    return fits(cell) ? cell : nil
  }

  /// A checkpoint says it in its configuration.
  private static func checkpointCell(of file: SafetensorsReader) -> String? {
    (try? Checkpoint.state(of: file).plan)?.model.cell.name
  }

  /// Refuses tensors that no model of this shape has, such as those of more layers: without them it would be another model.
  /// - Throws: exit code 65.
  package static func requireNothingElse(in file: SafetensorsReader, _ shape: ModelShape) throws(RunFailure) {
    var known = Set(shape.fileTensors.map(\.name))
    known.insert(shape.embeddingSize > 0 ? ModelShape.embeddingBias : "encoder.weight")
    // What a checkpoint holds besides has the program's name.
    guard
      let other = file.entries.first(where: { !known.contains($0.name) && !$0.name.hasPrefix("longzoo.") })
    else { return }
    let layers = layers(in: file, shape.block)
    throw .badData(
      "\(file.path): tensor \"\(other.name)\" has no place in a model of \(shape.layers) layer\(shape.layers == 1 ? "" : "s"), and would be lost"
        + (layers > shape.layers
          ? "; give \(.layers) \(layers)" : "; only models with one readout are supported"))
  }
}
