import CLongzooKernels
import Glibc

/// The instruction sets that the kernels are written for; the only file that names the C kernels' dispatch.
///
/// `reference` is plain C in Double, against which the others are tested: far too slow for training.
public enum Instructions: String, CaseIterable, Sendable {
  case reference, portable, avx2, avx512

  var code: lz_instructions {
    switch self {
    case .reference: LZ_REFERENCE
    case .portable: LZ_PORTABLE
    case .avx2: LZ_AVX2
    case .avx512: LZ_AVX512
    }
  }

  /// Whether this processor runs them; what is made with others ends the program.
  public var isSupported: Bool { lz_supported(code) != 0 }

  /// The widest that this processor runs. Whoever measures or tests others hands them to what computes.
  public static let best: Instructions = [.avx512, .avx2].first { $0.isSupported } ?? .portable

  /// Floating point operations done by `rounds` rounds of independent fused multiply-adds on one core.
  public func fusedMultiplyAdds(rounds: Int) -> Double {
    lz_fma_rounds(code, Int64(rounds))
  }
}

extension Instructions {
  /// Adds Σ (p − y)·hᵀ over some of the `allTiles` tiles of each of `tokens` tokens to `sum` [V padded][H padded], and Σ (p − y) to
  /// `bias` [V padded][16], for some of the blocks of 12 rows; begins them anew if `fresh`.
  package func readoutGradient(
    _ layout: Layout, _ rows: ReadoutRows, tokens: Int, tiles: Range<Int>, of allTiles: Int,
    blocks: Range<Int>, fresh: Bool, sum: UnsafeMutablePointer<Float>, bias: UnsafeMutablePointer<Float>
  ) {
    let rows = rows.advanced(by: tiles.lowerBound, layout)
    lz_readout_gradient(
      code, layout.c, rows.delta, rows.input, tokens, tiles.count, allTiles, blocks.lowerBound,
      blocks.count, fresh ? 1 : 0, sum, bias)
  }

  /// One row of scale · the total of `groups` such sums of `rows` rows each, added up in their order: its H weights and its bias.
  package func readoutTotal(
    _ layout: Layout, sums: UnsafePointer<Float>, biases: UnsafePointer<Float>, groups: Int, rows: Int,
    scale: Float, row: Int, into to: UnsafeMutablePointer<Float>, bias: UnsafeMutablePointer<Float>
  ) {
    lz_readout_total(code, layout.c, sums, biases, groups, rows, scale, row, to, bias)
  }

  /// Words of random signs: eight of each block 0, 1, … of a Philox stream.
  package func drawSigns(
    _ philox: Philox, high: UInt32, count: Int, into words: UnsafeMutablePointer<UInt16>
  ) {
    var counters = philox.counters(high)
    lz_draw_signs(code, &counters, count, words)
  }

  /// ±coefficients (±1 if nil) of one tile's pairs for `rows` sign words, 0 for pairs without their bit in `seen`;
  /// rows of `out` are `stride` floats apart.
  package func expandSigns(
    _ words: UnsafePointer<UInt16>, rows: Int, coefficients: UnsafePointer<Float>?,
    seen: UnsafePointer<UInt16>?,
    into out: UnsafeMutablePointer<Float>, stride: Int
  ) {
    lz_expand_signs(code, words, rows, coefficients, seen, out, stride)
  }

  /// For gates that are moved: out[p · stride + i] = ±coefficients[p] for `count` sign words i and the pairs p of a tile.
  package func expandNodes(
    _ words: UnsafePointer<UInt16>, count: Int, coefficients: UnsafePointer<Float>,
    into out: UnsafeMutablePointer<Float>, stride: Int
  ) {
    lz_expand_nodes(code, words, count, coefficients, out, stride)
  }

  /// out[i] = Σ over all pairs of ±coefficient, for `count` words of each tile.
  package func sumSigns(
    _ words: UnsafePointer<UInt16>, tileStride: Int, tiles: Int, count: Int,
    coefficients: UnsafePointer<Float>,
    into out: UnsafeMutablePointer<Float>
  ) {
    lz_sum_signs(code, words, tileStride, tiles, count, coefficients, out)
  }

  /// out[i] = Σ over all pairs of coefficient · entry, for normal entries of a tensor that is not the table, in the order of its packed
  /// weights.
  package func sumNormals(
    _ layout: Layout, names: UnsafePointer<UInt16>, tiles: Int, _ tensor: Tensor, from first: Int, count: Int,
    coefficients: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>
  ) {
    let number =
      switch tensor {
      case .table: preconditionFailure("the table's entries belong to one pair each")
      case .kernel(let stage): lz_kernel_number(Int32(stage))
      case .bias(let stage): lz_bias_number(Int32(stage))
      case .scalars(let stage): lz_scalars_number(layout.c, Int32(stage))
      case .readout: lz_readout_number(layout.c)
      case .readoutBias: lz_readout_bias_number(layout.c)
      }
    lz_sum_normals(
      code, names + layout.nameWords, layout.signsPerTile, tiles, number, first, count, coefficients, out)
  }

  /// The same of a token's row of the table, [gateStride]; pairs whose coefficient is 0 cost nothing.
  package func sumNormalRow(
    _ layout: Layout, names: UnsafePointer<UInt16>, tiles: Int, token: Int,
    coefficients: UnsafePointer<Float>,
    into out: UnsafeMutablePointer<Float>
  ) {
    lz_sum_normal_row(
      code, layout.c, names + layout.nameWords, layout.signsPerTile, tiles, UInt32(token), coefficients, out)
  }

  /// A block of 12 rows of `columns` weights into the kernels' order [columns][12].
  package func packRows(_ from: UnsafePointer<Float>, columns: Int, into to: UnsafeMutablePointer<Float>) {
    lz_pack_rows(code, from, columns, to)
  }

  /// v ← μ·v + g; θ ← (1 − ηλ)·θ − η·v
  package func sgd(
    count: Int, rate: Float, momentum: Float, decay: Float, gradient: UnsafePointer<Float>,
    velocity: UnsafeMutablePointer<Float>, parameters: UnsafeMutablePointer<Float>
  ) {
    var options = lz_optimizer()
    options.rate = rate
    options.momentum = momentum
    options.decay = decay
    lz_sgd(code, &options, count, gradient, velocity, parameters)
  }

  /// w ← keep·w − rate·g
  package func descend(
    count: Int, rate: Float, keep: Float, gradient: UnsafePointer<Float>, weights: UnsafeMutablePointer<Float>
  ) {
    lz_descend(code, count, rate, keep, gradient, weights)
  }

  /// m ← β₁m + (1 − β₁)g; s ← β₂s + (1 − β₂)g²; θ ← (1 − ηλ)θ − η·(m·c₁)/(√(s·c₂) + ϵ)
  package func adam(
    count: Int, rate: Float, beta1: Float, beta2: Float, decay: Float, correction1: Float, correction2: Float,
    gradient: UnsafePointer<Float>, mean: UnsafeMutablePointer<Float>, square: UnsafeMutablePointer<Float>,
    parameters: UnsafeMutablePointer<Float>
  ) {
    var options = lz_optimizer(
      rate: rate, momentum: beta1, beta2: beta2, epsilon: 1e-8, correction1: correction1,
      correction2: correction2, decay: decay)
    lz_adam(code, &options, count, gradient, mean, square, parameters)
  }
}

/// Columns, pairs and rows of the kernels' fixed blocking.
package enum Tile {
  package static let pairs = Int(LZ_LANES)
  package static let columns = Int(LZ_COLUMNS)
  package static let blockRows = Int(LZ_BLOCK)
}
