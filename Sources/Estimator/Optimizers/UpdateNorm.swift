import LongzooModel

extension Optimizer {
  /// ‖Δθ‖ of the update that was made last, out of the moments that it left behind.
  ///
  /// Of more than a million parameters every so many pieces are taken for all, so that it costs the same for any model.
  public func lastUpdateNorm(_ parameters: Parameters, rate: Float) -> Double {
    guard updates > 0 else { return 0 }
    let stride = (runs.pieces + Self.mostPieces - 1) / Self.mostPieces
    var (sum, taken) = (0.0, 0)
    for number in Swift.stride(from: 0, to: runs.pieces, by: stride) {
      let piece = runs.piece(number)
      sum += squareOfUpdate(piece, parameters, rate: rate * piece.rateFactor)
      taken += piece.count
    }
    return (sum * Double(parameters.values.count) / Double(taken)).squareRoot()
  }

  private static var mostPieces: Int { 64 }

  private func squareOfUpdate(_ piece: ParameterRuns.Piece, _ parameters: Parameters, rate: Float) -> Double {
    let (correction1, correction2) = corrections
    let decay = rate * configuration.weightDecay
    var sum = 0.0
    for i in piece.start..<piece.start + piece.count {
      let step =
        switch piece.rule {
        case .momentum: first[i]
        case .byRootOfSquares: first[i] * correction1 / ((second[i] * correction2).squareRoot() + 1e-8)
        case .alongOrthogonalPart: second[i]
        }
      // θ was (θ' + η·step)/(1 − ηλ) before.
      let before = (parameters.values[i] + rate * step) / (1 - decay)
      let change = decay > 0 ? before - parameters.values[i] : rate * step
      sum += Double(change) * Double(change)
    }
    return sum
  }
}
