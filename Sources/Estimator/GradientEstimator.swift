import LongzooMemory
import LongzooModel

extension Setting {
  /// What an update's gradient is multiplied by.
  static let learningRate = Setting("learningRate")
}

/// What learns from windows of tokens: all that a training loop needs to know of it.
///
/// A window is `beginWindow`, `consume` for each of its chunks, `finishWindow`. Recurrent states are carried from window to
/// window until `beginContext`.
public protocol WindowEstimator: AnyObject {
  associatedtype WindowResult: GradientResult

  /// Windows are numbered one after the other.
  func beginWindow(_ window: Int)

  /// The model's sizes: ids of tokens are below its vocabulary's.
  var shape: ModelShape { get }

  /// Parallel positions in the data, the rows of every block.
  var streams: Int { get }

  /// Takes the next tokens of every stream.
  /// - Precondition: `tokens` has `streams` rows and ids below the vocabulary's size, and is no longer than the chunk, or the rest
  ///   of the window, that the estimator was made for.
  func consume(_ tokens: TokenBlock)

  /// Ends a window of `tokens` tokens a stream: computes its gradient.
  func finishWindow(tokens: Int) -> WindowResult

  /// A context begins: all states are zero again.
  func beginContext()

  /// A context of one stream begins: its states are zero again. Not for pairs that all begin together.
  func beginContext(ofStream stream: Int)

  /// What a checkpoint has to keep besides the weights.
  var carried: [CarriedState] { get }

  /// Makes again what `carried` leaves out, as it was when window number `window` ended; then `carried` is to be filled.
  func restore(afterWindow window: Int)
}

/// One that moves weights or gates by ±ε.
public protocol PerturbingEstimator: WindowEstimator {
  /// It may change between windows. Pairs whose directions go on keep the states that they came to under the one before.
  var epsilon: Float { get set }
}

/// One whose `finishWindow` does work that grows with the window, and can be given up on the way.
public protocol InterruptibleEstimator: WindowEstimator {
  /// Asked again and again while a window ends, with the part of that work that is done, 0 … 1. Once it has said true, the
  /// window's result is void, and so are the states: what goes on must begin from a checkpoint.
  var isGivenUp: ((Double) -> Bool)? { get set }
}

/// One that writes its gradient down, for weights that somebody else keeps.
public protocol GradientEstimator: WindowEstimator {
  /// The last window's gradient, [parameterCount] in the order of `ModelShape.tensors`.
  var gradient: Buffer<Float> { get }

  /// The weights from here on; to be called whenever they have changed. `parameters` must stay until the window's end.
  func take(_ parameters: Parameters)
}

/// One that keeps the only copy of the weights, and applies its estimate to them without writing it down.
public protocol InPlaceEstimator: WindowEstimator {
  /// The only copy of the weights, in the kernels' order.
  var weights: PackedWeights { get }

  /// θ ← (1 − ηλ)·θ − η·g with the estimate g of the window that has ended.
  /// - Parameters:
  ///   - rate: η
  ///   - decay: λ
  func descend(rate: Float, decay: Float)
}

/// What a window says.
public protocol GradientResult: Sendable {
  /// Mean loss of a target, in nats; 0 where there was none.
  var loss: Double { get }
  /// Tokens of all streams that were to be predicted: those without a mark.
  var targets: Int { get }
  /// Why there is no gradient to follow, as a sentence; nil if there is one.
  var refusal: Wording? { get }
  /// What was measured beside the gradient.
  var meters: WindowMeters { get }
}

extension GradientResult {
  /// A window without any target has none, and that is no fault.
  public var hasGradient: Bool { refusal == nil && targets > 0 }
  /// Nothing was measured.
  public var meters: WindowMeters { WindowMeters() }
}
