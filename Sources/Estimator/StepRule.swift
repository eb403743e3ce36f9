import LongzooModel

/// How long the step along an estimate is. s_p is a pair's slope (L₊ − L₋)/2ε, n the number of pairs.
public enum StepRule: String, CaseIterable, Codable, Sendable {
  /// The learning rate times the estimate.
  case gradient
  /// The learning rate times L/‖∇L‖²: with a rate of 1 the step that would bring the loss to 0 if it fell on as steeply as it
  /// does here (Polyak, 1969, for a minimum of 0). ‖∇L‖² is estimated by the mean square of the pairs' slopes.
  case polyak
  /// The learning rate times the estimate over the spread of the pairs' slopes, σ² = (1/n) Σ s_p² (their mean is 0, because z and
  /// −z are equally likely): steps are as long in valleys as on cliffs. FZOO's rule (Dang et al., 2025, arXiv 2506.09034), which divides by the standard
  /// deviation of one-sided losses, for differences.
  case normalized
  /// `normalized` with every s_p/σ clipped to ±2: one outlier among the pairs does not lead the step.
  case clipped

  /// The bound of `clipped`, in σ.
  static let bound = 2.0

  struct Scale {
    /// What the estimate was multiplied with. 1 where the slopes have no spread that could be divided by: the coefficients are 0 then, and
    /// an exact readout's gradient, which needs no pairs, is what it is.
    var factor = 1.0
    /// Pairs that were clipped; nil where nothing clips.
    var clipped: Int?
  }

  /// Rescales coefficients c_p = s_p/n.
  /// - Parameter loss: L
  func rescale(_ coefficients: UnsafeMutablePointer<Float>, pairs: Int, loss: Double) -> Scale {
    let n = Double(pairs)
    func sumOfSquares() -> Double {
      TileSums.sum(pairs) { Double(coefficients[$0]) * Double(coefficients[$0]) }
    }
    switch self {
    case .gradient: return Scale()
    case .polyak:
      // A step along g falls by Σ s_p²/n.
      let fall = sumOfSquares() * n
      let scale = Scale(factor: fall > 0 && Float(loss / fall).isFinite ? loss / fall : 0)
      for pair in 0..<pairs { coefficients[pair] = Float(Double(coefficients[pair]) * scale.factor) }
      return scale
    case .normalized, .clipped:
      let spread = (sumOfSquares() * n).squareRoot()
      // Floats are multiplied with it, of which the largest is 3e38.
      let hasSpread = Float(1 / spread).isFinite
      var scale = Scale(factor: hasSpread ? 1 / spread : 1, clipped: self == .clipped ? 0 : nil)
      let most = self == .clipped ? Self.bound / n : .infinity
      for pair in 0..<pairs {
        let value = Double(coefficients[pair]) * scale.factor
        coefficients[pair] = Float(min(most, max(-most, value)))
        if abs(value) > most { scale.clipped! += 1 }
      }
      return scale
    }
  }
}
