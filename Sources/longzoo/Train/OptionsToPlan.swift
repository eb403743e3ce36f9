import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooTraining

extension TrainCommand {
  /// The options over `base`: the defaults, or what a checkpoint says. Options that were not given leave it alone.
  func plan(over base: RunPlan?) throws(RunFailure) -> RunPlan {
    var plan = base ?? RunPlan()
    data.apply(to: &plan.data)
    if let path = heldOut.val { plan.data.heldOutPath = AbsolutePath.of(path) }
    if let fraction = heldOut.valFraction { plan.data.holdoutFraction = fraction }
    model.apply(to: &plan.model)
    streaming.apply(to: &plan.streaming)
    estimator.apply(to: &plan.estimator)
    optimizer.apply(to: &plan.optimizer)
    limits.apply(to: &plan.limits, &plan.run)
    try setData(&plan, over: base)
    if base == nil {
      if plan.data.paths.isEmpty { plan.data.paths = [AbsolutePath.of(try BundledCorpus.path())] }
      try plan.settle()
    } else if optimizer.lr == .auto {
      plan.optimizer.learningRate = plan.defaultRate
    }
    try plan.refuseForeign()
    return plan
  }
}
