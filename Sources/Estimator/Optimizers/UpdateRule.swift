import LongzooMemory
import LongzooModel

/// How parameters move along a gradient: what an optimizer is, without the loop over the parameters, which is `Optimizer`'s.
///
/// A rule is a file of its own, and a line of `OptimizerKind.rule`.
protocol UpdateRule {
  /// Vectors as long as the parameters that are kept between updates and in checkpoints, 1 or 2; they begin as zeros.
  static var moments: Int { get }

  /// Whether a tensor is stepped apart from all others (`UpdatePiece.isApart`).
  static func isApart(_ tensor: Tensor) -> Bool

  /// The bytes of what a rule holds besides its moments.
  static func byteCount(for shape: ModelShape) -> Int

  init(
    _ shape: ModelShape, _ configuration: Optimizer.Configuration, instructions: Instructions,
    ledger: MemoryLedger
  ) throws(MemoryError)

  /// What has to be done before the pieces of an update are stepped, each by itself. `gradient`: of all parameters.
  func prepare(_ pieces: UpdatePieces, gradient: UnsafePointer<Float>, on pool: ThreadPool)

  /// Moves the parameters of a piece, and brings its moments up to date; it allocates nothing.
  /// - Parameters:
  ///   - gradient: of the piece.
  ///   - parameters: of the piece.
  func step(
    _ piece: UpdatePiece, gradient: UnsafePointer<Float>, parameters: UnsafeMutablePointer<Float>)

  /// What the last update's step was made of in a piece: θ ← (1 − ηλ)·θ − η·step(i), i counted from the piece's first.
  func lastStep(_ piece: UpdatePiece) -> (_ i: Int) -> Float
}

extension UpdateRule {
  static func isApart(_ tensor: Tensor) -> Bool { false }
  static func byteCount(for shape: ModelShape) -> Int { 0 }
  func prepare(_ pieces: UpdatePieces, gradient: UnsafePointer<Float>, on pool: ThreadPool) {}
}

/// Neighbouring parameters that are stepped by one call, and their moments.
struct UpdatePiece {
  /// The first one, counted from the first of all parameters.
  let start: Int
  let count: Int
  let isApart: Bool
  /// η of these parameters.
  let rate: Float
  /// The update's number, from 1 on.
  let update: Int
  /// The rule's moments from `start` on; of a rule with one moment the second points nowhere.
  let first: UnsafeMutablePointer<Float>
  let second: UnsafeMutablePointer<Float>

  /// What of it lies within some parameters; nil: nothing.
  func part(within range: Range<Int>) -> UpdatePiece? {
    let own = (start..<start + count).clamped(to: range)
    let skipped = own.lowerBound - start
    return own.isEmpty
      ? nil
      : UpdatePiece(
        start: own.lowerBound, count: own.count, isApart: isApart, rate: rate, update: update,
        first: first + skipped, second: second + skipped)
  }
}

/// All pieces of an update.
struct UpdatePieces {
  let runs: ParameterRuns
  let rate: Float
  let update: Int
  /// The moments of all parameters.
  let first: UnsafeMutablePointer<Float>
  let second: UnsafeMutablePointer<Float>

  var count: Int { runs.pieces }

  subscript(number: Int) -> UpdatePiece { made(runs.piece(number)) }

  /// Parameters of one tensor.
  func piece(from start: Int, count: Int) -> UpdatePiece {
    var piece = runs.run(of: start)
    (piece.start, piece.count) = (start, count)
    return made(piece)
  }

  private func made(_ piece: ParameterRuns.Piece) -> UpdatePiece {
    UpdatePiece(
      start: piece.start, count: piece.count, isApart: piece.isApart, rate: rate * piece.rateFactor,
      update: update, first: first + piece.start, second: second + piece.start)
  }
}
