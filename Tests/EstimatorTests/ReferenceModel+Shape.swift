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

extension ReferenceDNC {
  init(_ shape: ModelShape) {
    self.init(
      vocabulary: shape.vocabularySize, embedding: shape.embeddingSize, hidden: shape.hiddenSize,
      slots: shape.memorySlots, heads: shape.readHeads, startsAtZero: shape.startsEmpty)
  }
}

extension ModelShape {
  /// The exact gradient of the sum of the losses of a sequence; nil, if the cell has no definition in the tests.
  var referenceGradient: ((_ theta: [Double], _ tokens: [Int]) -> [Double])? {
    cell == .dnc ? ReferenceDNC(self).gradient : ReferenceModel(self)?.gradient
  }
}
