import LongzooModel
import LongzooTestSupport

extension ReferenceModel {
  /// nil, if the shape's cell has no definition here.
  init?(_ shape: ModelShape) {
    guard let cell = ReferenceCell(rawValue: shape.cell.name) else { return nil }
    self.init(
      cell, vocabulary: shape.vocabularySize, hidden: shape.hiddenSize, layers: shape.layers,
      heads: shape.heads,
      isResidual: shape.block == .residual, embedding: shape.embeddingSize)
  }
}
