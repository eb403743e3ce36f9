import LongzooEstimator

/// The gradient estimators.
public enum EstimatorKind: String, CaseIterable, Codable, Sendable {
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
  package var method: PopulationMethod? {
    switch self {
    case .cdRGE: .central
    case .jvp: .tangent
    case .nres: .unroll
    case .pes: .persistent
    case .fdRGE, .node, .bptt, .tbptt, .hybrid: nil
    }
  }

  /// Whether windows are propagated back through.
  package var isExact: Bool { self == .bptt || self == .tbptt || self == .hybrid }
  /// Whether pairs move along directions of the weights.
  package var movesWeights: Bool { hasPairs && self != .node }
  /// Whether states or losses are compared under +ε and −ε, or under +ε and none.
  package var takesDifferences: Bool { hasPairs && self != .jvp }
  /// Whether pairs of perturbed models run.
  package var hasPairs: Bool { self != .bptt && self != .tbptt }
}
