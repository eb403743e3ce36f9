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
  public var below: Source?
  /// The stage whose h the cell reads unit by unit, if it does.
  public var other: Int?

  /// A stage that is read.
  public struct Source: Equatable, Sendable {
    /// Its number.
    public var stage: Int
    /// Its units.
    public var units: Int
  }

  /// D
  public var headSize: Int { units / heads }
  /// G·H, the rows of its matrix.
  public var gates: Int { cell.rows * units }
  /// Columns of its matrix: the units below, then the own head's state if the cell's rows read it.
  public var inputs: Int { cell.rows == 0 ? 0 : (below?.units ?? 0) + (cell.readsOwnState ? headSize : 0) }
  /// What its weights are scaled by at first.
  var fan: Int { cell.readsOwnState ? headSize : below?.units ?? units }
  /// Elements of its late bias.
  var lateUnits: Int { cell.hasLateRow ? units : 0 }
  /// Parameters of the stage; the table is not counted.
  var parameterCount: Int { gates * (inputs + 1) + lateUnits }
}

/// How the layers of a model are put together.
public enum BlockKind: String, Codable, CaseIterable, Sendable {
  /// Every layer reads the h of the one below, and nothing else; the readout reads the last.
  case plain
  /// Layers add to what they read: y = x + W·(c ∘ silu(W_g·u + b_g)) + b, u = x/rms(x), c the cell's h on u; the readout reads y/rms(y) of the
  /// last. Tokens enter by an embedding.
  case residual
}

extension ModelShape {
  /// The stages before the first layer: the embedding, and where a block needs another width than that, a matrix.
  private var entries: Int {
    embeddingSize == 0 ? 0 : block == .residual && embeddingSize != hiddenSize ? 2 : 1
  }

  /// Stages of a layer of residual blocks: norm, cell, gate, sum.
  private static let blockStages = 4

  /// The number of stages.
  public var stageCount: Int {
    block == .plain ? entries + layers : entries + Self.blockStages * layers + 1
  }

  /// H of the last stage, which the readout reads.
  public var readoutInputs: Int { hiddenSize }

  /// The stage of a layer's cell.
  public func stage(ofLayer layer: Int) -> Int {
    precondition((0..<layers).contains(layer), "layer \(layer) of \(layers)")
    return block == .plain ? entries + layer : entries + Self.blockStages * layer + 1
  }

  /// One of the stages, in the order in which they are computed. Asked for in every update, so no array is made.
  public func stage(_ index: Int) -> Stage {
    precondition((0..<stageCount).contains(index), "stage \(index) of \(stageCount)")
    if index < entries {
      return index == 0
        ? Stage(cell: .linear, units: embeddingSize)
        : Stage(cell: .linear, units: hiddenSize, below: Stage.Source(stage: 0, units: embeddingSize))
    }
    guard block == .residual else { return plainStage(index) }
    let (layer, part) = (index - entries).quotientAndRemainder(dividingBy: Self.blockStages)
    // A block begins after the h that it adds to.
    let first = entries + Self.blockStages * layer
    let (norm, gated) = (Stage.Source(stage: first, units: hiddenSize), first + 2)
    switch part {
    case 0: return Stage(cell: .norm, units: hiddenSize, other: first - 1)
    case 1: return Stage(cell: cell, units: hiddenSize, heads: heads, below: norm)
    case 2: return Stage(cell: .gating, units: hiddenSize, below: norm, other: first + 1)
    default:
      return Stage(
        cell: .residual, units: hiddenSize, below: Stage.Source(stage: gated, units: hiddenSize),
        other: first - 1)
    }
  }

  private func plainStage(_ index: Int) -> Stage {
    let units = index > entries ? hiddenSize : embeddingSize
    return Stage(
      cell: cell, units: hiddenSize, heads: heads,
      below: index == 0 ? nil : Stage.Source(stage: index - 1, units: units))
  }
}
