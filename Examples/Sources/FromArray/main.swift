// Trains on an array of tokens, saves the model, loads it and measures it.
import Foundation
import LongzooEstimator
import LongzooTraining

let folder = CommandLine.arguments.dropFirst().first ?? "runs/from-array"
// A letter in two comes back after three: a model of single letters cannot know it.
let ids = (0..<40_000).map { $0 % 6 < 3 ? ($0 / 6 * 7 + $0 % 6) % 11 : ($0 / 6 * 7 + $0 % 6 - 3) % 11 }
let tokens = try TokenArray(ids, vocabularySize: 11)

var plan = RunPlan()
plan.data = tokens.data
plan.model.hiddenSize = 32
plan.estimator.family = .tbptt
plan.limits.maxSteps = 150
let summary = try Trainer(plan, in: folder).run()
print("\(summary.steps) updates, held out \(summary.heldOutBits ?? .nan) bits a token")

let model = try TrainedModel(at: folder)
let others = try TokenArray(Array(ids.prefix(5000)), vocabularySize: 11)
guard let evaluation = try model.evaluate(others.data) else { fatalError("nothing to predict") }
print("loaded again: \(evaluation.bitsPerToken) bits a token over \(evaluation.targets) tokens")
