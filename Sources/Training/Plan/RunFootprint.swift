import LongzooEstimator
import LongzooModel

extension ModelShape {
  /// Ids, and units of a layer; units of a head; elements of a matrix of all ids and units.
  package static let largest = 1 << 24
  package static let largestHead = 1 << 16
  package static let largestMatrix = 1 << 40
}

extension RunPlan {
  /// 2⁶⁰ bytes: no machine addresses a thousandth of that, and no sum of a plan below it overflows.
  package static let largestFootprint = 0x1p60

  /// A bound from above of every number of elements or bytes that planning this run multiplies out, each of the memory's parts counted at
  /// least twice. Real, because it has to be right where whole numbers would overflow.
  package var footprint: Double {
    let (ids, threads) = (Double(data.vocabularySize) + 16, Double(run.threads))
    let stages = (0..<shape.stageCount).map { shape.stage($0) }
    // A head of one unit is padded to three.
    let units = Double(max(shape.readoutInputs, model.embeddingSize)) + 16
    let unitsOfAll = stages.reduce(0) { $0 + Double($1.units) + Double($1.slots) * Double($1.headSize) + 16 }
    let matrices = stages.reduce(0) { $0 + (Double($1.units) + 16) * inputs(of: $1) }
    let weights = 32 * (units * ids + matrices)
    let columns = Double(estimator.pairs) + 16
    let products = Double(estimator.rank) + 1
    // A word for every weight and tile, or the factors of products; for every thread some rows of a matrix and of products, or normal entries.
    let scratch =
      estimator.perturbation == .gaussian ? 16 * weights : 128 * (32 * (units + ids) + products * columns)
    let held = estimator.family.holdsWindow ? Double(tokensOfWindow) + 32 : 288
    let moved = estimator.family.holdsLogits ? 4 * ids : 0
    let states =
      held * max(Double(streaming.streams), estimator.family.hasPairs ? columns : 1)
      * (32 * unitsOfAll + moved)
    let readout = 288 * columns * 4 * (ids + units)
    return 8 * (weights * products * columns + threads * (scratch + states / held + readout) + states)
  }

  /// Columns of a stage's matrix: what goes back through time has matrices without gaps between heads.
  private func inputs(of stage: Stage) -> Double {
    let own = estimator.family.isExact ? stage.units : stage.headSize
    return (stage.below.map { Double($0.units) + 16 } ?? 0)
      + (stage.cell.readsOwnState ? Double(own) + 16 : 0)
  }
}
