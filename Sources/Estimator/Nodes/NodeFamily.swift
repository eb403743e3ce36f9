import LongzooMemory
import LongzooModel

extension EstimatorFamily {
  /// Directions of the gates' inputs, and not of the weights, `NodePerturbation`. Not for long windows:
  /// memory and noise grow with them.
  public static let node = EstimatorFamily(
    "node",
    "central differences in the gates' inputs, with new signs at every token, "
      + "credit within the window",
    settings: [.pairs, .epsilon, .readout, .creditDecay], credit: .window,
    plan: { PlanOf(NodePerturbation.self, NodePerturbation.Configuration($0, $1, chunk: $2)) },
    adjust: {
      $0.holdsWindow = true
      $0.holdsLogits = true
      // Either readout's gradient is made of rows.
      $0.chunkTokens = { c, w in chunkOfPairs(c, w, keepsReadoutRows: true) }
      // One ε for both where logits are moved as well, and logits want less than gates.
      $0.defaults.epsilonOfEstimatedReadout = 0.1
      $0.obstacle = { _, w in
        if let part = unknownPart(of: w.shape) { return "\(.estimator) node does not know \(part)" }
        return w.window < NodePerturbation.windowLimit
          ? nil
          : "\(.estimator) node keeps a state of every pair for each token of its window, which \(.window) must make "
            + "shorter than \(NodePerturbation.windowLimit) tokens"
      }
    })

  /// What has rows that are no gates of a layer, or more of them.
  private static func unknownPart(of shape: ModelShape) -> Wording? {
    if shape.cell.hasLateRow {
      return "\(.cell) \(shape.cell.name): its last row has two inputs that would have to be moved"
    }
    if shape.cell.isWholeModel {
      return "\(.cell) \(shape.cell.name): it moves the gates of plain layers only"
    }
    if shape.cell.isElementwise {
      return "\(.cell) \(shape.cell.name): its units read no states that a moved gate would reach"
    }
    if shape.block != .plain {
      return "\(.block) \(shape.block.rawValue): it moves the gates of plain layers only"
    }
    return shape.embeddingSize > 0
      ? "\(.embeddingSize) \(shape.embeddingSize): an embedding has no gates" : nil
  }
}

extension NodePerturbation.Configuration {
  init(_ c: EstimatorConfiguration, _ w: EstimatorWorkload, chunk: Int) {
    self.init(
      pairs: c.pairs, epsilon: Float(c.epsilon), creditDecay: Float(c.creditDecay),
      exactReadout: c.readout == .exact, window: w.window, streams: w.streams, chunk: chunk, seed: w.seed)
    measuredEvery = w.measuredEvery
  }
}
