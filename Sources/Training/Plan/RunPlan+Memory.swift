import LongzooMemory

extension RunPlan {
  /// What the run will hold; of a memory budget, binomial checkpointing gets what the rest leaves.
  ///
  /// - Throws: if that is more than the budget; what opening the data throws. A pipe is not touched.
  package mutating func settleMemory() throws -> MemoryTable {
    guard let budget = run.memoryBudget else { return try MemoryPlan.table(for: self) }
    if estimator.checkpointing == .binomial {
      let rest = try MemoryPlan.tableWithoutEstimator(for: self).total
      estimator.$checkpointingBudget.settle(max(0, budget - rest))
    }
    let table = try MemoryPlan.table(for: self)
    guard table.total <= budget else {
      throw RunFailure.usage(
        "this run needs \(ByteSize.formatted(table.total)), more than the memory budget of \(ByteSize.formatted(budget)); "
          + "raise \(.memoryBudget), or take fewer \(.pairs) or \(.streams) or a smaller \(.hiddenSize)",
        details: table.formatted(budget: budget))
    }
    return table
  }
}
