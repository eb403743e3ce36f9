import ArgumentParser
import LongzooEstimator

/// `--estimator`
enum EstimatorKind: String, CaseIterable, Codable, ExpressibleByArgument {
  case cdRGE = "cd-rge"
  case fdRGE = "fd-rge"
  case jvp, nres, pes
  /// Directions of the gates' inputs, and not of the weights.
  case node
  /// Exact, over the window.
  case bptt
  /// The same with short windows; a name for it, and other defaults.
  case tbptt
  /// Exact within the window, random directions beyond it.
  case hybrid

  /// How CD-RGE's population makes the estimate; nil for what has a population of its own, or none.
  var method: PopulationMethod? {
    switch self {
    case .cdRGE: .central
    case .jvp: .tangent
    case .nres: .unroll
    case .pes: .persistent
    case .fdRGE, .node, .bptt, .tbptt, .hybrid: nil
    }
  }

  /// Whether windows are propagated back through.
  var isExact: Bool { self == .bptt || self == .tbptt || self == .hybrid }
  /// Whether pairs move along directions of the weights.
  var movesWeights: Bool { hasPairs && self != .node }
  /// Whether states or losses are compared under +ε and −ε, or under +ε and none.
  var takesDifferences: Bool { hasPairs && self != .jvp }
  /// Whether pairs of perturbed models run.
  var hasPairs: Bool { self != .bptt && self != .tbptt }

  static let help = """
    The gradient estimator. From pairs of models: cd-rge (central differences; a direction lives for --lifetime windows), fd-rge (differences from the \
    unperturbed model: with --streams 1 it is shared, and a direction costs one column and not two; with more streams each has \
    its own, at the price of cd-rge), jvp \
    (forward mode: the exact derivative along each direction, without ε), nres (central differences, a direction for each \
    context), pes (central differences, a direction for each window, credit back to the context's start; the cost of an \
    update grows with the windows since then), or node (central differences in the gates' inputs, with new signs at every token, credit \
    within the window). Exact: bptt (over the whole context) or tbptt (truncated to windows of \
    \(RunConfiguration.defaultTruncation)). Both: hybrid (exact in the window, and what lies beyond it from pairs that carry \
    their states for --lifetime windows). (default: cd-rge)
    """
}
