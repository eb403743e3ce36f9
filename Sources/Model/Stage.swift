import CLongzooKernels

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
  /// A second stage whose h its matrix reads.
  public var second: Source?
  /// The stage whose h the cell reads unit by unit, or as a whole where it has no rows, if it does.
  public var other: Int?
  /// Slots of a memory, of D numbers each; its heads are those that read.
  public var slots = 0

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
  /// Columns of its matrix that read the h of other stages.
  public var read: Int { (below?.units ?? 0) + (second?.units ?? 0) }
  /// Columns of its matrix: those, then the own head's state if the cell's rows read it.
  public var inputs: Int { cell.rows == 0 ? 0 : read + (cell.readsOwnState ? headSize : 0) }
  /// The other stages whose h its matrix reads, and the columns where they begin.
  package func eachSource(_ body: (_ source: Source, _ column: Int) -> Void) {
    if let below { body(below, 0) }
    if let second { body(second, below?.units ?? 0) }
  }
  /// What its weights are scaled by at first.
  var fan: Int { cell.readsOwnState ? headSize : below?.units ?? units }
  /// Scalars of all its units; a late row's bias is one. A memory has them for the elements of a slot.
  package var scalarCount: Int { cell.scalars.count * (slots > 0 ? headSize : units) }
  /// Parts of its state: the cell's, and a memory.
  package var parts: Int { cell.states + (slots > 0 ? 1 : 0) }
  /// Numbers of a part of its state.
  package func units(ofPart part: Int) -> Int { part < cell.states ? units : slots * headSize }
  /// A part of its state that no token has come to yet, with the padding up to `padded` numbers: a broken state is in that as well.
  package func freshen(_ state: UnsafeMutablePointer<Float>, padded: Int, part: Int, isEmpty: Bool) {
    state.update(repeating: 0, count: padded)
    guard part >= cell.states, !isEmpty else { return }
    for unit in 0..<units(ofPart: part) { state[unit] = lz_memory_start(UInt32(unit)) }
  }
  /// Parameters of the stage; the table is not counted.
  var parameterCount: Int { gates * (inputs + 1) + scalarCount }
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
  /// Whether a matrix leads from the embedding to the first layer, which needs another width.
  package var isProjected: Bool {
    !cell.isWholeModel && embeddingSize > 0 && embeddingSize != hiddenSize
      && (block == .residual || cell.readsInput)
  }

  /// The stages before the first layer: the embedding, and that matrix.
  private var entries: Int { embeddingSize == 0 ? 0 : isProjected ? 2 : 1 }

  /// Stages of a cell: itself, and what stands after it.
  private var cellStages: Int { cell.hasOutput ? 2 : 1 }

  /// Stages of a layer. Of residual blocks: norm, cell, gate, sum.
  private var layerStages: Int { block == .plain ? cellStages : cellStages + 3 }

  /// The number of stages.
  public var stageCount: Int {
    cell.isWholeModel
      ? Self.machineStages : entries + layerStages * layers + (block == .plain ? 0 : 1)
  }

  /// H of the last stage, which the readout reads.
  public var readoutInputs: Int { cell.isWholeModel ? 2 * hiddenSize : hiddenSize }

  /// The stage of a layer's cell.
  public func stage(ofLayer layer: Int) -> Int {
    precondition((0..<layers).contains(layer), "layer \(layer) of \(layers)")
    if cell.isWholeModel { return Self.machineController }
    return entries + layerStages * layer + (block == .plain ? 0 : 1)
  }

  /// One of the stages, in the order in which they are computed. Asked for in every update, so no array is made.
  public func stage(_ index: Int) -> Stage {
    precondition((0..<stageCount).contains(index), "stage \(index) of \(stageCount)")
    if cell.isWholeModel { return machineStage(index) }
    if index < entries {
      return index == 0
        ? Stage(cell: .linear, units: embeddingSize)
        : Stage(cell: .linear, units: hiddenSize, below: Stage.Source(stage: 0, units: embeddingSize))
    }
    let (layer, part) = (index - entries).quotientAndRemainder(dividingBy: layerStages)
    let first = entries + layerStages * layer
    let width = layer == 0 && !isProjected ? embeddingSize : hiddenSize
    let input = first == 0 ? nil : Stage.Source(stage: first - 1, units: width)
    guard block == .residual else { return cellStage(part, from: first, input: input) }
    let norm = Stage.Source(stage: first, units: hiddenSize)
    switch part {
    case 0: return Stage(cell: .norm, units: hiddenSize, other: first - 1)
    case 1...cellStages: return cellStage(part - 1, from: first + 1, input: norm)
    case cellStages + 1: return Stage(cell: .gating, units: hiddenSize, below: norm, other: index - 1)
    default:
      return Stage(
        cell: .residual, units: hiddenSize, below: Stage.Source(stage: index - 1, units: hiddenSize),
        other: first - 1)
    }
  }

  /// A stage of a layer's cell, the first of which is `first`.
  private func cellStage(_ part: Int, from first: Int, input: Stage.Source?) -> Stage {
    guard let output = cell.output, part > 0 else {
      return Stage(
        cell: cell, units: hiddenSize, heads: heads, below: input, other: cell.readsInput ? input?.stage : nil
      )
    }
    return Stage(
      cell: output, units: hiddenSize, below: input, second: Stage.Source(stage: first, units: hiddenSize),
      other: first)
  }
}
