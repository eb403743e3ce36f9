import Foundation
import LongzooEstimator
import LongzooMemory
import Testing

@testable import LongzooTraining

@Suite struct RunPlanTests {
  @Test func whatIsChosenStays() throws {
    var plan = RunPlan(files: ["data"])
    plan.estimator.family = .hybrid
    plan.estimator.epsilon = 0.7
    plan.streaming.streams = 100
    try plan.settle()
    #expect(plan.estimator.epsilon == 0.7 && plan.streaming.streams == 100)
    #expect(plan.estimator.pairs == 100 && plan.estimator.lifetime == 4 && plan.streaming.context == 10_000)
    #expect(plan.data.vocabularySize == 256 && plan.data.holdoutFraction == 0.1)
  }

  @Test func aChoiceKnowsWhetherItIsOne() {
    var choice = Choice(wrappedValue: 1)
    choice.fill(2)
    #expect(choice.wrappedValue == 2 && !choice.isGiven)
    choice.wrappedValue = 3
    choice.fill(4)
    #expect(choice.wrappedValue == 3 && choice.isGiven)
    #expect(choice == Choice(wrappedValue: 3))
  }

  @Test func filesHoldAllOfAPlan() throws {
    var plan = RunPlan(files: ["a", "b"])
    plan.estimator.family = .node
    plan.streaming.window = .context
    plan.run.saveInterval = .never
    plan.run.seed = .max
    plan.limits.epochs = 0.5
    plan.optimizer.searchesRate = true
    let read = try JSONDecoder().decode(RunPlan.self, from: JSONEncoder().encode(plan))
    #expect(read == plan)
    #expect(RunPlan.entries.allSatisfy { !$0.isGiven(read) })
    #expect(Set(RunPlan.entries.map(\.key)).count == RunPlan.entries.count)
  }

  @Test(arguments: EstimatorFamily.all) func foreignSettingsAreRefused(family: EstimatorFamily) throws {
    let change: [(Setting, (inout RunPlan) -> Void)] = [
      (.pairs, { $0.estimator.pairs = 32 }), (.epsilon, { $0.estimator.searchesEpsilon = true }),
      (.lifetime, { $0.estimator.lifetime = 2 }), (.clipNorm, { $0.estimator.clipNorm = 2 }),
      (.creditDecay, { $0.estimator.creditDecay = 0.5 }),
    ]
    for (setting, change) in change {
      var plan = RunPlan(files: ["data"])
      plan.estimator.family = family
      change(&plan)
      if family.settings.contains(setting) {
        try plan.refuseForeign()
      } else {
        let error = #expect(throws: RunFailure.self) { try plan.refuseForeign() }
        #expect(error?.wording.settings.first == setting)
      }
    }
  }

  @Test func sentencesNameSettings() {
    let wording: Wording = "\(.hiddenSize) \(0) is not from 1 to \(1 << 24)"
    #expect(wording.description == "hiddenSize 0 is not from 1 to 16777216")
    #expect(wording.text { _ in "--hidden-size" } == "--hidden-size 0 is not from 1 to 16777216")
    #expect(wording == "\(.hiddenSize) 0 is" + " not from 1 to 16777216")
  }
}
