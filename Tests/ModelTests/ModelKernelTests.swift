import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

/// One random problem for a tile of every instruction set.
struct KernelCase: Sendable, CustomTestStringConvertible {
  var shape: ModelShape
  var kind: DirectionKind
  var exact: Bool
  var pairs: Int
  var tokens: Int
  var seed: UInt64

  var layout: Layout { Layout(shape, kind: kind, exactReadout: exact) }

  var testDescription: String {
    "\(shape.cell) \(shape.block) E\(shape.embeddingSize) V\(shape.vocabularySize) H\(shape.hiddenSize)/\(shape.heads) L\(shape.layers) \(kind) \(exact ? "exact" : "zo") \(pairs) pairs K\(tokens)"
  }

  /// Sums on the longest way to a loss: the shared product and the direction's of every layer and token, each with the
  /// token's row, the bias and both their signs, then a logit's and the log-sum-exp's. Of a sum of products every one is a
  /// rounding more, for a row and for a token.
  var sums: Int {
    let products = kind.rank > 1 ? 2 * kind.rank + 2 : 0
    let layers = (0..<shape.stageCount).reduce(0) { $0 + 2 * shape.stage($1).inputs + 4 + 2 * products }
    // A normal entry is off by some roundings of its radius and angle, and as large as 6.
    if kind == .gaussian { return 16 * (tokens * layers + 2 * shape.hiddenSize + shape.vocabularySize + 8) }
    return tokens * layers + 2 * shape.hiddenSize + products + shape.vocabularySize + 8
  }

  /// Each sum rounds once, to half an ulp of a value whose size is about 1.
  var tolerance: Double { Double(sums) * 0x1p-24 }

  static let kinds: [DirectionKind] = [.rank1, .rademacher, .products(2), .products(7), .gaussian]

  static func random(
    _ seed: UInt64, vocabulary: ClosedRange<Int>, hidden: ClosedRange<Int>, layers: ClosedRange<Int>
  )
    -> KernelCase
  {
    var random = ModelRandom(seed)
    return KernelCase(
      shape: ModelShape(
        vocabularySize: random.within(vocabulary), hiddenSize: random.within(hidden),
        layers: random.within(layers)),
      kind: kinds[Int(seed / 2) % kinds.count], exact: seed % 2 == 0, pairs: random.within(1...16),
      tokens: random.within(1...9), seed: seed)
  }

  /// Corners: one of everything, and both sides of the blocks of 3, 12 and 16.
  static let corners: [KernelCase] = [
    (1, 1), (1, 3), (1, 16), (2, 1), (11, 2), (12, 3), (13, 4), (16, 12), (17, 13), (24, 16), (25, 17),
  ].enumerated().flatMap { index, size in
    (0..<2 * kinds.count).map { variant in
      KernelCase(
        shape: ModelShape(vocabularySize: size.0, hiddenSize: size.1, layers: 1 + index % 3),
        kind: kinds[variant / 2], exact: variant % 2 == 0, pairs: 16 - index,
        tokens: 1 + (index + variant) % 9,
        seed: UInt64(1000 + 10 * index + variant))
    }
  }

  /// Heads of whole blocks of three units, and heads with one or two units over.
  static let heads: [KernelCase] = [
    (7, 2, 2), (13, 6, 2), (5, 8, 2), (20, 12, 3), (31, 20, 4), (9, 35, 5), (14, 21, 21), (40, 64, 4),
  ].enumerated().flatMap { index, size in
    (0..<2 * kinds.count).map { variant in
      KernelCase(
        shape: ModelShape(
          vocabularySize: size.0, hiddenSize: size.1, layers: 1 + (index + variant) % 3, heads: size.2),
        kind: kinds[variant / 2], exact: variant % 2 == 0, pairs: 16 - index,
        tokens: 1 + (index + variant) % 9, seed: UInt64(2000 + 10 * index + variant))
    }
  }

  /// The other cells: blocks that are full, that have units of padding, and heads of both.
  static let cells: [KernelCase] = Cell.all.filter { $0 != .lstm && !$0.isWholeModel }.enumerated().flatMap {
    number, cell in
    [(1, 1, 1), (11, 4, 1), (12, 5, 1), (17, 13, 1), (13, 24, 2), (9, 35, 5)].enumerated().flatMap {
      index, size in
      (0..<2 * kinds.count).map { variant in
        KernelCase(
          shape: ModelShape(
            vocabularySize: size.0, hiddenSize: size.1, layers: 1 + (index + variant) % 3, heads: size.2,
            cell: cell),
          kind: kinds[variant / 2], exact: variant % 2 == 0, pairs: 16 - index,
          tokens: 1 + (index + variant) % 9, seed: UInt64(3000 + 100 * number + 10 * index + variant))
      }
    }
  }

  /// Layers over an embedding, and as blocks, of widths that are the embedding's or not.
  static let blocks: [KernelCase] = Cell.all.filter { !$0.isWholeModel }.enumerated().flatMap {
    number, cell in
    [(BlockKind.plain, 5), (.residual, 0), (.residual, 13)].enumerated().flatMap { index, block in
      (0..<2 * kinds.count).map { variant in
        KernelCase(
          shape: ModelShape(
            vocabularySize: 11 + index, hiddenSize: [4, 12, 26][index], layers: 1 + (index + variant) % 3,
            heads: 1 + index % 2, cell: cell, block: block.0, embeddingSize: block.1),
          kind: kinds[variant / 2], exact: variant % 2 == 0, pairs: 16 - index,
          tokens: 1 + (index + variant) % 9, seed: UInt64(4000 + 100 * number + 10 * index + variant))
      }
    }
  }

  /// Memories: odd and even slots, slots of one number and wider than a vector, one head and several, at zero and not.
  static let machines: [KernelCase] = [
    (4, 3, 3, 1), (6, 2, 4, 3), (5, 1, 7, 5), (34, 2, 9, 7), (12, 4, 1, 16),
  ]
  .enumerated().flatMap { index, size in
    (0..<2 * kinds.count).map { variant in
      var shape = ModelShape(
        vocabularySize: 11 + index, hiddenSize: size.0, cell: .dnc, embeddingSize: size.3)
      (shape.memorySlots, shape.readHeads, shape.startsEmpty) = (
        size.2, size.0 % size.1 == 0 ? size.1 : 1, variant % 3 == 0
      )
      return KernelCase(
        shape: shape, kind: kinds[variant / 2], exact: variant % 2 == 0, pairs: 16 - index,
        tokens: 1 + (index + variant) % 5, seed: UInt64(5000 + 10 * index + variant))
    }
  }

  static let small = (0..<32).map { random($0, vocabulary: 1...60, hidden: 1...30, layers: 1...3) }
  /// Those of which a tile can hold two sets of directions.
  static let sideBySide = (corners + heads + small + cells + blocks).filter { $0.kind != .gaussian }
  static let large = (100..<108).map { random($0, vocabulary: 100...300, hidden: 40...100, layers: 1...3) }
}

@Suite("Kernels against the reference")
struct ModelKernelTests {
  @Test(
    "Losses, states, seen words and readout rows agree",
    arguments: KernelCase.corners + KernelCase.heads + KernelCase.small + KernelCase.cells + KernelCase.blocks
      + KernelCase.machines
  )
  func agree(_ test: KernelCase) throws { try compare(test) }

  @Test("They agree for large shapes", arguments: KernelCase.large)
  func agreeLarge(_ test: KernelCase) throws {
    var test = test
    test.tokens = min(test.tokens, 3)  // the reference is slow
    try compare(test)
  }

  @Test(
    "Marked targets have no loss and no rows; all of them marked, some, one",
    arguments: KernelCase.corners + KernelCase.heads, [1, 2, 16])
  func agreeMarked(_ test: KernelCase, _ share: Int) throws { try compare(test, marked: share) }

  private func compare(_ test: KernelCase, marked share: Int? = nil) throws {
    let model = try RandomModel(test.layout, seed: test.seed)
    func run(_ instructions: Instructions) throws -> PopulationUnderTest {
      let under = try PopulationUnderTest(
        test.layout, pairs: test.pairs, instructions: instructions, seed: test.seed + 7)
      var random = ModelRandom(test.seed + 9)
      if let share {
        for i in under.tokens.indices where random.within(1...share) == 1 {
          under.tokens[i] |= TokenMark.mark
        }
      }
      under.run(model.weights, chunks: [test.tokens])
      return under
    }
    let expected = try run(.reference)
    for instructions in Instructions.fast {
      let actual = try run(instructions)
      let worst = [
        "losses": lossError(actual, expected), "states": stateError(actual, expected),
        "delta": rowError(test, actual.delta, expected.delta, size: test.layout.deltaTile) { $0 % 16 },
        "input": rowError(test, actual.input, expected.input, size: test.layout.inputTile) { $0 / 32 % 16 },
      ]
      for (what, error) in worst {
        #expect(
          error <= test.tolerance, "\(instructions): \(what) are off by \(error), allowed \(test.tolerance)")
      }
      expectSame(
        actual.population.seen.array, expected.population.seen.array, "\(instructions)")
    }
  }

  private func lossError(_ a: PopulationUnderTest, _ b: PopulationUnderTest) -> Double {
    (0..<a.population.pairs).reduce(0) { worst, pair in
      let (x, y) = (a.population.loss(ofPair: pair), b.population.loss(ofPair: pair))
      return largest(worst, x.plus - y.plus, x.minus - y.minus)
    }
  }

  private func stateError(_ a: PopulationUnderTest, _ b: PopulationUnderTest) -> Double {
    (0..<a.population.pairs).flatMap(a.stateIndices).reduce(0) {
      largest($0, Double(a.population.states[$1]) - Double(b.population.states[$1]))
    }
  }

  /// What one tile hands out of each token of the chunk; that of padding lanes must be exactly zero. `pair`: whose the
  /// element with an index is.
  private func rowError(
    _ test: KernelCase, _ a: [Float], _ b: [Float], size: Int, pair: (Int) -> Int
  ) -> Double {
    guard test.exact else { return 0 }
    return (0..<test.tokens * size).reduce(0) { worst, i in
      pair(i) >= test.pairs && a[i] != 0 ? .infinity : largest(worst, Double(a[i]) - Double(b[i]))
    }
  }

  /// NaN counts as infinitely wrong.
  private func largest(_ worst: Double, _ errors: Double...) -> Double {
    errors.reduce(worst) { $1.isNaN ? .infinity : max($0, abs($1)) }
  }
}
