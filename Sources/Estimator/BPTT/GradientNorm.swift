import LongzooMemory
import LongzooModel

extension BPTT {
  /// Parameters of one task.
  private static var piece: Int { 16384 }

  private var pieceCount: Int { (gradient.count + Self.piece - 1) / Self.piece }

  private func range(ofPiece piece: Int) -> Range<Int> {
    piece * Self.piece..<min(gradient.count, (piece + 1) * Self.piece)
  }

  func clearGradient() {
    pool.run(pieceCount) { piece, _ in
      gradient.elements[range(ofPiece: piece)].update(repeating: 0)
    }
  }

  /// The gradient's norm; scales the gradient down to the configured one if it is longer.
  func clippedNorm() -> Double {
    var squares = 0.0
    for piece in 0..<pieceCount {
      let range = range(ofPiece: piece)
      squares += instructions.sumOfSquares(gradient.pointer + range.lowerBound, count: range.count)
    }
    let norm = squares.squareRoot()
    guard let clip = configuration.clip, norm.isFinite, norm > Double(clip) else { return norm }
    let factor = Float(Double(clip) / norm)
    pool.run(pieceCount) { piece, _ in
      for i in range(ofPiece: piece) { gradient[i] *= factor }
    }
    return norm
  }
}
