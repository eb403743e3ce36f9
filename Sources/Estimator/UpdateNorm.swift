import Model

extension Optimizer {
  /// ‖Δθ‖ of the update that was made last, out of the moments that it left behind.
  ///
  /// Of more than a million parameters every so many pieces are taken for all, so that it costs the same for any model.
  public func lastUpdateNorm(_ parameters: Parameters, rate: Float) -> Double {
    guard updates > 0 else { return 0 }
    let total = parameters.values.count
    let pieces = (total + Self.sampledPiece - 1) / Self.sampledPiece
    let step = (pieces + Self.mostPieces - 1) / Self.mostPieces
    var (sum, taken) = (0.0, 0)
    for piece in stride(from: 0, to: pieces, by: step) {
      let range = piece * Self.sampledPiece..<min(total, (piece + 1) * Self.sampledPiece)
      sum += squareOfUpdate(range, parameters, rate: rate)
      taken += range.count
    }
    return (sum * Double(total) / Double(taken)).squareRoot()
  }

  private static var sampledPiece: Int { 16384 }
  private static var mostPieces: Int { 64 }

  private func squareOfUpdate(_ range: Range<Int>, _ parameters: Parameters, rate: Float) -> Double {
    let (correction1, correction2) = corrections
    var sum = 0.0
    for i in range {
      let rate = i < tableCount ? rate * configuration.tableRate : rate
      let decay = rate * configuration.weightDecay
      var step = first[i]
      if configuration.kind == .adam {
        step = first[i] * correction1 / ((second[i] * correction2).squareRoot() + 1e-8)
      }
      // θ was (θ' + η·step)/(1 − ηλ) before.
      let before = (parameters.values[i] + rate * step) / (1 - decay)
      let change = decay > 0 ? before - parameters.values[i] : rate * step
      sum += Double(change) * Double(change)
    }
    return sum
  }
}
