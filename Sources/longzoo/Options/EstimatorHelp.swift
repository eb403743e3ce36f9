import LongzooTraining

extension EstimatorKind {
  static let help = """
    The gradient estimator. From pairs of models: cd-rge (central differences; a direction lives for --lifetime windows), fd-rge (differences from the \
    unperturbed model: with --streams 1 it is shared, and a direction costs one column and not two; with more streams each has \
    its own, at the price of cd-rge), jvp \
    (forward mode: the exact derivative along each direction, without ε), nres (central differences, a direction for each \
    context), pes (central differences, a direction for each window, credit back to the context's start; the cost of an \
    update grows with the windows since then), or node (central differences in the gates' inputs, with new signs at every token, credit \
    within the window). Exact: bptt (over the whole context) or tbptt (truncated to windows of \
    \(EstimatorPlan.defaultTruncation)). Both: hybrid (exact in the window, and what lies beyond it from pairs that carry \
    their states for --lifetime windows). (default: cd-rge)
    """
}
