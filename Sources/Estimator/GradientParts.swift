import LongzooModel

/// A gradient that is never whole: of large vocabularies, whose table and readout are most of a model, these tensors' gradients are made
/// part by part while the optimizer takes them.
package protocol PartialGradientEstimator: GradientEstimator {
  /// What there is of the last window's gradient; nil where all of it is.
  var heldGradient: HeldGradient? { get }

  /// Makes the last window's gradient of all other parameters, once: lends every part of it, on any thread, in any order. The
  /// parameters of a part may change as soon as it was lent.
  func eachPart(on pool: ThreadPool, _ body: GradientParts.Body)
}

package enum GradientParts {
  /// Takes the gradient of `count` parameters from `start` on.
  package typealias Body = (_ start: Int, _ count: Int, _ gradient: UnsafePointer<Float>) -> Void
}

/// The gradient of neighbouring parameters.
package struct HeldGradient {
  package var parameters: Range<Int>
  /// That of the first of all parameters, were it there.
  package var first: UnsafePointer<Float>
}

extension Optimizer {
  /// One update at learning rate η along the last window's gradient, in parts where it comes in such.
  package func update(
    _ parameters: Parameters, along estimator: any GradientEstimator, rate: Float, on pool: ThreadPool
  ) {
    if let partial = estimator as? any PartialGradientEstimator, let held = partial.heldGradient {
      update(parameters, along: partial, held, rate: rate, on: pool)
    } else {
      update(parameters, gradient: estimator.gradient, rate: rate, on: pool)
    }
  }

  private func update(
    _ parameters: Parameters, along estimator: any PartialGradientEstimator, _ held: HeldGradient,
    rate: Float,
    on pool: ThreadPool
  ) {
    updates += 1
    let pieces = pieces(rate: rate)
    let values = parameters.values.pointer
    rule.prepare(pieces, gradient: held.first, on: pool)
    pool.run(pieces.count) { task, _ in
      guard let piece = pieces[task].part(within: held.parameters) else { return }
      rule.step(piece, gradient: held.first + piece.start, parameters: values + piece.start)
    }
    estimator.eachPart(on: pool) { start, count, gradient in
      rule.step(pieces.piece(from: start, count: count), gradient: gradient, parameters: values + start)
    }
  }
}
