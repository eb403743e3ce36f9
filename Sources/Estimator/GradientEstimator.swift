import Memory
import Model

/// What turns a window of tokens into a gradient: all that a training loop needs to know of it.
///
/// A window is `beginWindow`, `consume` for each of its chunks, `finishWindow`. Recurrent states are carried from window to
/// window until `beginContext`.
public protocol GradientEstimator: AnyObject {
  /// The form in which the estimator reads the model.
  associatedtype Weights
  associatedtype WindowResult: GradientResult

  /// Of the last window, in the order of `ModelShape.tensors`.
  var gradient: Buffer<Float> { get }

  func beginWindow(_ window: Int)

  /// Takes the next `count` tokens of every stream; `tokens`: [streams][stride], of each row count + 1.
  func consume(_ tokens: UnsafePointer<UInt32>, stride: Int, count: Int, weights: Weights)

  /// Ends a window of `tokens` tokens a stream: computes `gradient`.
  func finishWindow(tokens: Int) -> WindowResult

  /// A context begins: all states are zero again.
  func beginContext()
}

/// What a window says.
public protocol GradientResult: Sendable {
  /// Mean loss of a token, in nats.
  var loss: Double { get }
  /// Whether there is a gradient to follow; there is none where a number was infinite or NaN.
  var hasGradient: Bool { get }
}

extension CDRGE.WindowResult: GradientResult {}
extension CDRGE: GradientEstimator {}
