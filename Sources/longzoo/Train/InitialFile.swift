import LongzooModel

/// The file of `--init`.
enum InitialFile {
  /// Opens the weights that `argument` names, a run folder or a safetensors file, and refuses those of another model than the options ask for.
  /// - Throws: exit code 66 if there are none, 65 with the options to give if their sizes differ.
  static func open(_ argument: String, for c: RunConfiguration) throws(RunFailure) -> SafetensorsReader {
    let file = try SafetensorsReader(path: RunFolder.weights(argument))
    let found = try WeightsFile.shape(of: file)
    let sizes = [
      ("--vocab-size", found.vocabularySize, c.vocabularySize),
      ("--hidden-size", found.hiddenSize, c.hiddenSize),
      ("--layers", found.layers, c.layers), ("--heads", found.heads, c.heads),
    ].filter { $0.1 != $0.2 }
    guard sizes.isEmpty else {
      throw .badData(
        "--init \(file.path) holds a model of other sizes; give \(sizes.map { "\($0.0) \($0.1)" }.joined(separator: " ")), "
          + "not \(sizes.map { "\($0.2)" }.joined(separator: " and "))")
    }
    return file
  }
}
