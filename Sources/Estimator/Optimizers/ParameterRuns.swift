import LongzooModel

/// The parameter vector as runs of neighbours that are updated alike, and those in pieces for the threads.
struct ParameterRuns {
  struct Piece {
    var start: Int
    var count: Int
    /// The learning rate in parts of the common one.
    var rateFactor: Float
    /// Whether the rule steps it apart from the others.
    var isApart: Bool
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
      let isApart = c.kind.rule.isApart(slice.tensor)
      let factor = slice.tensor == .table ? Float(c.tableRate) : 1
      if let last = runs.last, last.isApart == isApart, last.rateFactor == factor {
        runs[runs.count - 1].count += slice.count
      } else {
        runs.append(
          Piece(start: slice.offset, count: slice.count, rateFactor: factor, isApart: isApart))
      }
    }
    var (before, pieces): ([Int], Int) = ([], 0)
    for run in runs {
      before.append(pieces)
      pieces += (run.count + Self.most - 1) / Self.most
    }
    (self.runs, self.before, self.pieces) = (runs, before, pieces)
  }

  /// The run that a parameter is in.
  func run(of parameter: Int) -> Piece { runs.last { $0.start <= parameter }! }

  func piece(_ number: Int) -> Piece {
    var run = runs.count - 1
    while before[run] > number { run -= 1 }
    var piece = runs[run]
    let first = (number - before[run]) * Self.most
    piece.start += first
    piece.count = min(Self.most, piece.count - first)
    return piece
  }
}
