import Model

/// The parameter vector as runs of neighbours that are updated alike, and those in pieces for the threads.
struct ParameterRuns {
  enum Rule: Equatable {
    /// sgd's.
    case momentum
    /// adam's.
    case byRootOfSquares
    /// muon's, with √max(1, rows/columns).
    case alongOrthogonalPart(scale: Float)
  }

  struct Piece {
    var start: Int
    var count: Int
    /// The learning rate in parts of the common one.
    var rateFactor: Float
    var rule: Rule
  }

  /// A matrix of its own: [rows × columns] from parameter `start`.
  struct Matrix {
    var start: Int
    var rows: Int
    var columns: Int

    /// Units times units, so that a step is as large in a wide matrix as in a square one.
    var scale: Float { max(1, Float(rows) / Float(columns)).squareRoot() }
  }

  /// Parameters that one task updates.
  private static let most = 16384

  private let runs: [Piece]
  /// Pieces of the runs before, for each.
  private let before: [Int]
  let pieces: Int

  init(_ shape: ModelShape, _ c: Optimizer.Configuration) {
    var runs: [Piece] = []
    for slice in shape.tensors {
      let rule = Self.rule(slice, shape, c.kind)
      let factor = slice.tensor == .table ? c.tableRate : 1
      if let last = runs.last, last.rule == rule, last.rateFactor == factor {
        runs[runs.count - 1].count += slice.count
      } else {
        runs.append(Piece(start: slice.offset, count: slice.count, rateFactor: factor, rule: rule))
      }
    }
    var (before, pieces): ([Int], Int) = ([], 0)
    for run in runs {
      before.append(pieces)
      pieces += (run.count + Self.most - 1) / Self.most
    }
    (self.runs, self.before, self.pieces) = (runs, before, pieces)
  }

  private static func rule(_ slice: TensorSlice, _ shape: ModelShape, _ kind: OptimizerKind) -> Rule {
    switch (kind, slice.tensor) {
    case (.sgd, _): .momentum
    case (.muon, .kernel(let layer)): .alongOrthogonalPart(scale: matrices(shape, layer)[0].scale)
    case (.adam, _), (.muon, _): .byRootOfSquares
    }
  }

  func piece(_ number: Int) -> Piece {
    var run = runs.count - 1
    while before[run] > number { run -= 1 }
    var piece = runs[run]
    let first = (number - before[run]) * Self.most
    piece.start += first
    piece.count = min(Self.most, piece.count - first)
    return piece
  }

  /// The matrices of all layers. With heads the gates of each head are one: they share inputs with no other's.
  static func matrices(_ shape: ModelShape) -> [Matrix] {
    (0..<shape.layers).flatMap { matrices(shape, $0) }
  }

  private static func matrices(_ shape: ModelShape, _ layer: Int) -> [Matrix] {
    let (kernel, rows) = (shape.slice(.kernel(layer)), 4 * shape.headSize)
    return (0..<shape.heads).map {
      Matrix(start: kernel.offset + $0 * rows * kernel.columns, rows: rows, columns: kernel.columns)
    }
  }
}
