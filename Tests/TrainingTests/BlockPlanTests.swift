import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel
import Testing

@testable import LongzooTraining

/// What a plan says of blocks and embeddings.
@Suite struct BlockPlanTests {
  private func plan(_ change: (inout ModelPlan) -> Void) throws -> RunPlan {
    var plan = RunPlan(files: ["data"])
    change(&plan.model)
    try plan.settle()
    return plan
  }

  @Test func elementWiseCellsOfTwoLayersAreBlocks() throws {
    for cell in Cell.all where !cell.isWholeModel {
      for layers in [1, 2] {
        let model = try plan { ($0.cell, $0.layers) = (cell, layers) }.model
        let isBlocks = cell.isElementwise && layers == 2
        #expect(model.block == (isBlocks ? .residual : .plain), "\(cell), \(layers) layers")
        #expect(model.embeddingSize == (isBlocks || cell.needsEmbedding ? model.hiddenSize : 0))
      }
    }
    let chosen = try plan { ($0.cell, $0.layers, $0.block) = (.mingru, 2, .plain) }
    #expect(chosen.model.block == .plain && chosen.model.embeddingSize == 0)
    #expect(chosen.shape == ModelShape(vocabularySize: 256, hiddenSize: 64, layers: 2, cell: .mingru))
    let narrow = try plan { ($0.block, $0.embeddingSize) = (.residual, 5) }
    #expect(narrow.shape.block == .residual && narrow.shape.embeddingSize == 5)
  }

  /// What nothing bounds bears smaller moves.
  @Test func residualBlocksMoveLessByDefault() throws {
    for cell in Cell.all where !cell.isWholeModel {
      let block = try plan { ($0.cell, $0.block) = (cell, .residual) }.estimator.epsilon
      let layer = try plan { ($0.cell, $0.block) = (cell, .plain) }.estimator.epsilon
      #expect(block == 0.02 && layer == (cell.isBounded ? 0.2 : 0.02), "\(cell)")
    }
  }

  @Test func filesOfBeforeHavePlainModels() throws {
    let plan = try plan { ($0.block, $0.embeddingSize) = (.residual, 7) }
    let data = try JSONEncoder().encode(plan)
    #expect(try JSONDecoder().decode(RunPlan.self, from: data) == plan)
    var object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    #expect(object["block"] as? String == "residual" && object["embeddingSize"] as? Int == 7)
    (object["block"], object["embeddingSize"]) = (nil, nil)
    let old = try JSONDecoder().decode(
      RunPlan.self, from: JSONSerialization.data(withJSONObject: object))
    #expect(old.model.block == .plain && old.model.embeddingSize == 0)
  }

  private static let refused: [(Setting, @Sendable (inout RunPlan) -> Void)] = [
    (.embeddingSize, { $0.model.embeddingSize = -1 }),
    (.embeddingSize, { $0.model.embeddingSize = 1 << 24 + 1 }),
    (.embeddingSize, { ($0.model.block, $0.model.embeddingSize) = (.residual, 0) }),
    (.embeddingSize, { ($0.model.cell, $0.model.embeddingSize) = (.rglru, 0) }),
    (.embeddingSize, { ($0.model.cell, $0.model.embeddingSize) = (.elstm, 0) }),
    (
      .vocabularySize,
      {
        $0.data.tokenType = .u32
        ($0.data.vocabularySize, $0.model.embeddingSize) = (1 << 21, 1 << 20)
      }
    ),
    (.heads, { ($0.model.cell, $0.model.heads) = (.mingru, 2) }),
    (.estimator, { ($0.estimator.family, $0.model.cell) = (.node, .mingru) }),
    (.estimator, { ($0.estimator.family, $0.model.block) = (.node, .residual) }),
    (.estimator, { ($0.estimator.family, $0.model.embeddingSize) = (.node, 3) }),
  ]

  @Test(arguments: refused.indices) func whatMeansNothingIsRefused(index: Int) throws {
    let (setting, change) = Self.refused[index]
    var plan = RunPlan(files: ["data"])
    change(&plan)
    try plan.settle()
    let error = #expect(throws: RunFailure.self) { try plan.validate() }
    #expect(error?.wording.settings.first == setting, "\(String(describing: error?.wording))")
  }

  /// The bound of a run's memory holds for what its table says.
  @Test(arguments: [Cell.mingru, .lstm], BlockKind.allCases) func theBoundIsOne(
    cell: Cell, block: BlockKind
  ) throws {
    for (units, embedding) in [(1, 1), (64, 1), (8, 3000), (700, 700)] {
      var plan = try plan {
        ($0.cell, $0.block, $0.layers) = (cell, block, 3)
        ($0.hiddenSize, $0.embeddingSize) = (units, embedding)
      }
      plan.run.threads = 2
      try plan.validate()
      #expect(Double(MemoryPlan.tableWithoutData(for: plan).total) < plan.footprint)
    }
  }
}
