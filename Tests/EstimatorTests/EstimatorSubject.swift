import LongzooMemory
import LongzooModel

@testable import LongzooEstimator

/// An estimator on a model, whichever it is: `UnderTest` without its type.
protocol EstimatorSubject: AnyObject {
  var windows: any WindowEstimator { get }
  var pool: ThreadPool { get }
  var streams: [[UInt32]] { get set }
  var theta: [Double] { get }
  var gradient: [Double] { get }
  var flatTokens: [UInt32] { get }
  /// The bits of the last estimate; where none is written down, those of the weights that it has moved.
  var bits: [UInt32] { get }
  var memento: EstimatorMemento { get }
  func consume(_ flat: [UInt32], from first: Int, count: Int)
  func finish(_ tokens: Int)
  func run(_ number: Int, from start: Int, chunks: [Int])
  /// A step downhill by the last window.
  func descend()
  /// Goes back to what another one carried when a window had ended, and has the same weights.
  func restore(_ saved: EstimatorMemento, afterWindow window: Int)
}

/// What a checkpoint has of an estimator and its weights.
struct EstimatorMemento {
  var carried: [[UInt8]]
  var weights: [Float]
}

extension UnderTest: EstimatorSubject {
  var windows: any WindowEstimator { estimator }

  /// nil if the gradient is written down.
  private var inPlace: (any InPlaceEstimator)? {
    estimator.gradient.count == 0 ? estimator as? any InPlaceEstimator : nil
  }

  private var weights: UnsafeMutableBufferPointer<Float> {
    inPlace?.weights.elements ?? parameters.values.elements
  }

  var bits: [UInt32] { inPlace == nil ? gradientBits : weights.map(\.bitPattern) }

  var memento: EstimatorMemento {
    EstimatorMemento(carried: estimator.carried.map { Array($0.bytes) }, weights: Array(weights))
  }

  func finish(_ tokens: Int) { _ = estimator.finishWindow(tokens: tokens) }
  func run(_ number: Int, from start: Int, chunks: [Int]) { window(number, from: start, chunks: chunks) }

  func descend() {
    if let inPlace { return inPlace.descend(rate: 0.01, decay: 0) }
    for i in 0..<parameters.values.count { parameters.values[i] -= 0.01 * estimator.gradient[i] }
    estimator.take(parameters)
  }

  func restore(_ saved: EstimatorMemento, afterWindow window: Int) {
    estimator.restore(afterWindow: window)
    for (piece, bytes) in zip(estimator.carried, saved.carried) { piece.bytes.copyBytes(from: bytes) }
    let weights = weights
    for i in weights.indices { weights[i] = saved.weights[i] }
    if inPlace == nil { estimator.take(parameters) }
  }
}
