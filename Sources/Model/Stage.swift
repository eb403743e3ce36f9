/// A part of a model that computes the h of its units at every token: from what earlier stages have computed at this token, and from
/// its own states.
///
/// A plain model has a stage for every layer. H units, N heads, D = H/N units of a head.
public struct Stage: Equatable, Sendable {
  /// What its units compute.
  public var cell: Cell
  /// H
  public var units: Int
  /// N, a divisor of H: a unit's rows see the own state of the units of its head.
  public var heads = 1
  /// The stage whose h its matrix reads at the same token, and the units of that; the first reads the token's row of the table instead.
  public var below: (stage: Int, units: Int)?
  /// The stage whose h the cell reads unit by unit, if it does.
  public var other: Int?

  /// D
  public var headSize: Int { units / heads }
  /// G·H, the rows of its matrix.
  public var gates: Int { cell.rows * units }
  /// Columns of its matrix: the units below, then the own head's state if the cell's rows read it.
  public var inputs: Int { cell.rows == 0 ? 0 : (below?.units ?? 0) + (cell.readsOwnState ? headSize : 0) }
  /// Elements of its late bias.
  var lateUnits: Int { cell.hasLateRow ? units : 0 }
  /// Parameters of the stage; the table is not counted.
  var parameterCount: Int { gates * (inputs + 1) + lateUnits }

  public static func == (a: Stage, b: Stage) -> Bool {
    a.cell == b.cell && a.units == b.units && a.heads == b.heads && a.other == b.other
      && a.below?.stage == b.below?.stage && a.below?.units == b.below?.units
  }
}

extension ModelShape {
  /// The number of stages.
  public var stageCount: Int { layers }

  /// One of the stages, in the order in which they are computed. Asked for in every update, so no array is made.
  public func stage(_ index: Int) -> Stage {
    precondition((0..<stageCount).contains(index), "stage \(index) of \(stageCount)")
    return Stage(
      cell: cell, units: hiddenSize, heads: heads, below: index == 0 ? nil : (index - 1, hiddenSize))
  }

  /// H of the last stage, which the readout reads.
  public var readoutInputs: Int { hiddenSize }
}
