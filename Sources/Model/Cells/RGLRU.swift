import CLongzooKernels

extension Cell {
  /// The real-gated linear recurrent unit of Griffin (De et al. 2024, arXiv 2402.19427): h = a·h⁻ + √(1 − a²)·σ(i)·x with
  /// a = σ(Λ)^(8·σ(r)), x the input of the unit itself. Rows r i, one state, the scalar Λ.
  ///
  /// Units begin with σ(Λ) from 0.73 to 0.98, which with gates half open is a memory of from one to 14 tokens, and with closed ones of
  /// hundreds: Griffin's 0.9 to 0.999 learns text more slowly.
  public static let rglru = Cell(
    "rglru", LZ_CELL_rglru, biases: [0, 0],
    scalars: [CellScalar(name: "lambda", values: Spread(first: 1, last: 4))],
    isBounded: false, help: "Griffin's gated linear unit, element-wise: quick by tbptt, in two layers or more"
  )
}
