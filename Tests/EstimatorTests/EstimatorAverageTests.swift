import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

@Suite("Averaged weights")
struct EstimatorAverageTests {
  /// The weight of update i in the average after t updates: C(i + 8, 9) / C(t + 9, 10), as telescoping the recursion
  /// with γ = 9 gives.
  private func share(_ i: Int, of t: Int) -> Double {
    (0..<9).reduce(1.0) { $0 * Double(i + 8 - $1) / Double(9 - $1) }
      / (0..<10).reduce(1.0) { $0 * Double(t + 9 - $1) / Double(10 - $1) }
  }

  @Test("The average is the closed form of polynomial-decay averaging, with any number of threads")
  func closedForm() throws {
    let shape = ModelShape(vocabularySize: 131, hiddenSize: 31, layers: 2)
    let ledger = MemoryLedger()
    let parameters = try Parameters(shape, ledger: ledger)
    let averages = [try WeightAverage(shape, ledger: ledger), try WeightAverage(shape, ledger: ledger)]
    let pools = [try ThreadPool(threads: 1), try ThreadPool(threads: 3)]
    let watched = [0, 1, 16383, 16384, shape.parameterCount - 1]
    var history: [[Double]] = []
    var random = ModelRandom(4)
    for update in 1...60 {
      for i in 0..<shape.parameterCount { parameters.values[i] = Float(random.unit()) }
      history.append(watched.map { Double(parameters.values[$0]) })
      for (average, pool) in zip(averages, pools) { average.add(parameters, update: update, on: pool) }
      guard [1, 2, 10, 60].contains(update) else { continue }
      let shares = (1...update).map { share($0, of: update) }
      #expect(abs(shares.reduce(0, +) - 1) < 1e-12)
      for (column, i) in watched.enumerated() {
        let expected = dot(shares, history.map { $0[column] })
        // Three roundings an update, of values of at most 2.
        #expect(abs(Double(averages[0].mean.values[i]) - expected) <= Double(6 * update) * 0x1p-24)
      }
    }
    expectSame(averages[0].mean.values.array, averages[1].mean.values.array)
  }

  @Test("Constant weights are their own average")
  func constant() throws {
    let shape = ModelShape(vocabularySize: 2, hiddenSize: 1)
    let ledger = MemoryLedger()
    let (parameters, average) = (
      try Parameters(shape, ledger: ledger), try WeightAverage(shape, ledger: ledger)
    )
    parameters.initialize(seed: 1)
    let pool = try ThreadPool(threads: 1)
    for update in 1...100 { average.add(parameters, update: update, on: pool) }
    #expect(average.mean.values.array == parameters.values.array)
  }
}
