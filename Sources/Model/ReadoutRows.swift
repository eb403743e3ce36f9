import CLongzooKernels

/// Room for what the exact readout's gradient is made of: p − y as [K][T][V padded][16 pairs] and h as [K][T][panels][16 pairs][32
/// units]; or, for a readout that is done apart (`ReadoutSamples`), h of all columns as [K][T][H][32].
package enum ReadoutRows {
  case made(delta: UnsafeMutablePointer<Float>, input: UnsafeMutablePointer<Float>)
  case apart(hidden: UnsafeMutablePointer<Float>)

  package init(delta: UnsafeMutablePointer<Float>, input: UnsafeMutablePointer<Float>) {
    self = .made(delta: delta, input: input)
  }

  package var delta: UnsafeMutablePointer<Float> { made.delta }
  package var input: UnsafeMutablePointer<Float> { made.input }

  private var made: (delta: UnsafeMutablePointer<Float>, input: UnsafeMutablePointer<Float>) {
    guard case .made(let delta, let input) = self else {
      preconditionFailure("no p − y of a readout that is done apart")
    }
    return (delta, input)
  }

  /// Those from a later token of the chunk on.
  package func from(token: Int, of population: Population) -> ReadoutRows {
    advanced(by: token * population.tiles, population.layout)
  }

  /// Those of a later tile.
  package func advanced(by tiles: Int, _ layout: Layout) -> ReadoutRows {
    switch self {
    case .made(let delta, let input):
      .made(delta: delta + tiles * layout.deltaTile, input: input + tiles * layout.inputTile)
    case .apart(let hidden): .apart(hidden: hidden + tiles * layout.hiddenTile)
    }
  }

  /// Tells a kernel where those of a tile are.
  func set(_ chunk: inout lz_chunk, tile: Int, _ layout: Layout) {
    switch advanced(by: tile, layout) {
    case .made(let delta, let input): (chunk.delta, chunk.input) = (delta, input)
    case .apart(let hidden): chunk.hidden = hidden
    }
  }
}
