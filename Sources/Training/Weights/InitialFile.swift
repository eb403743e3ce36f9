import LongzooMemory
import LongzooModel

/// The file of `--init`.
package enum InitialFile {
  /// Opens the weights that `argument` names, a run folder or a safetensors file, and refuses those of another model than the options ask for.
  /// - Throws: exit code 66 if there are none, 65 with the options to give if their sizes differ.
  package static func open(_ argument: String, for c: RunPlan) throws(RunFailure)
    -> SafetensorsReader
  {
    let file = try SafetensorsReader(path: RunFolder.weights(argument))
    let found = try WeightsFile.shape(of: file)
    let sizes: [(setting: Setting, found: Int, asked: Int)] = [
      (.vocabularySize, found.vocabularySize, c.data.vocabularySize),
      (.hiddenSize, found.hiddenSize, c.model.hiddenSize),
      (.layers, found.layers, c.model.layers), (.heads, found.heads, c.model.heads),
      (.embeddingSize, found.embeddingSize, c.shape.embeddingSize),
      (.memorySlots, found.memorySlots, c.shape.memorySlots),
      (.readHeads, found.readHeads, c.shape.readHeads),
    ].filter { $0.1 != $0.2 }
    guard found.cell == c.model.cell else {
      throw .badData(
        "\(.initialWeights) \(file.path) holds a model of \(found.cell.name) cells; give \(.cell) \(found.cell.name), not \(c.model.cell.name)"
      )
    }
    guard found.block == c.model.block else {
      throw .badData(
        "\(.initialWeights) \(file.path) holds a model of \(found.block.rawValue) layers; give \(.block) \(found.block.rawValue), not \(c.model.block.rawValue)"
      )
    }
    guard found.startsEmpty == c.shape.startsEmpty else {
      throw .badData(
        "\(.initialWeights) \(file.path) holds a model whose memory starts "
          + (found.startsEmpty
            ? "empty; give \(.emptyMemory)" : "with slots that differ; leave out \(.emptyMemory)"))
    }
    guard sizes.isEmpty else {
      let wanted = sizes.dropFirst().reduce("\(sizes[0].setting) \(sizes[0].found)" as Wording) {
        "\($0) \($1.setting) \($1.found)"
      }
      throw .badData(
        "\(.initialWeights) \(file.path) holds a model of other sizes; give \(wanted), "
          + "not \(sizes.map { "\($0.asked)" }.joined(separator: " and "))")
    }
    return file
  }
}
