import LongzooModel

extension Optimizer {
  /// ‖Δθ‖ of the update that was made last, out of the moments that it left behind.
  ///
  /// Every so many pieces stand for all where there are more than a million parameters, so that it costs the same for any model.
  public func lastUpdateNorm(_ parameters: Parameters, rate: Float) -> Double {
    guard updates > 0 else { return 0 }
    let pieces = pieces(rate: rate)
    let stride = (pieces.count + Self.mostPieces - 1) / Self.mostPieces
    var (sum, taken) = (0.0, 0)
    for number in Swift.stride(from: 0, to: pieces.count, by: stride) {
      let piece = pieces[number]
      sum += squareOfUpdate(piece, parameters.values.pointer + piece.start)
      taken += piece.count
    }
    return (sum * Double(parameters.values.count) / Double(taken)).squareRoot()
  }

  private static var mostPieces: Int { 64 }

  private func squareOfUpdate(_ piece: UpdatePiece, _ parameters: UnsafePointer<Float>) -> Double {
    let (rate, decay) = (piece.rate, piece.rate * Float(configuration.weightDecay))
    let step = rule.lastStep(piece)
    var sum = 0.0
    for i in 0..<piece.count {
      let step = step(i)
      // θ was (θ' + η·step)/(1 − ηλ) before.
      let before = (parameters[i] + rate * step) / (1 - decay)
      let change = decay > 0 ? before - parameters[i] : rate * step
      sum += Double(change) * Double(change)
    }
    return sum
  }
}
