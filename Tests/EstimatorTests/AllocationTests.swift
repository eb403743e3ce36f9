import Foundation
import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

/// Heap allocations of a whole update – window, estimate, optimizer, average, packing – on all threads that work on it, once
/// everything has been used before. `allocations.json` has the most that each optimizer may make; estimators make none
/// (`EstimatorLaws`).
@Suite("Allocations in the steady state", .enabled(if: AllocationCount.isPossible))
struct AllocationTests {
  static let shape = ModelShape(vocabularySize: 70, hiddenSize: 30, layers: 2, heads: 3)

  @Test("An update allocates what the thresholds allow", arguments: OptimizerKind.allCases, [1, 2])
  func allocations(_ kind: OptimizerKind, threads: Int) throws {
    let pool = try ThreadPool(threads: threads)
    let update = try Self.updates(kind, on: pool)
    for number in 0..<12 { update(number) }
    let updates = 6
    let counted = AllocationCount.of(pool) { for number in 12..<12 + updates { update(number) } }
    let perUpdate = Double(counted.allocations) / Double(updates)
    let allowed = try #require(
      try Self.thresholds()[kind.rawValue], "\(kind) has no line in allocations.json")
    #expect(
      perUpdate <= allowed,
      "\(kind): \(perUpdate) allocations an update (\(counted.bytes) bytes in \(updates)), \(perUpdate - allowed) too many"
    )
  }

  @Test("What any thread allocates is counted")
  func counterCounts() throws {
    let pool = try ThreadPool(threads: 2)
    var kept: [[Int]] = [[], []]
    let counted = AllocationCount.of(pool) {
      kept.withUnsafeMutableBufferPointer { kept in
        AllocationCount.everyThread(of: pool) { thread in kept[thread] = [Int](repeating: thread, count: 100)
        }
      }
    }
    #expect(counted.allocations == 2 && counted.bytes >= 1600, "\(counted)")
    #expect(kept.map(\.count) == [100, 100])
  }

  @Test("Every threshold belongs to an optimizer")
  func thresholdsAreUsed() throws {
    #expect(Set(try Self.thresholds().keys) == Set(OptimizerKind.allCases.map(\.rawValue)))
  }

  private static func thresholds() throws -> [String: Double] {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "allocations.json")
    return try JSONDecoder().decode([String: Double].self, from: Data(contentsOf: file))
  }

  /// Everything that an update of the shared regime is made of.
  private static func updates(_ kind: OptimizerKind, on pool: ThreadPool) throws -> (Int) -> Void {
    let ledger = MemoryLedger()
    let c = CDRGE.Configuration(pairs: 40, epsilon: 0.1, exactReadout: false, streams: 4, chunk: 8, seed: 1)
    let under = try UnderTest(shape, try CDRGE(shape, c, pool: pool, ledger: ledger), streams: 4, pool: pool)
    under.parameters.initialize(seed: 5)
    let optimizer = try Optimizer(shape, .init(kind: kind), ledger: ledger)
    let average = try WeightAverage(shape, ledger: ledger)
    let tokens = under.flatTokens
    under.estimator.take(under.parameters)
    return { number in
      if number % 4 == 0 { under.estimator.beginContext() }
      under.estimator.beginWindow(number)
      under.consume(tokens, from: 0, count: 8)
      under.consume(tokens, from: 8, count: 5)
      precondition(under.estimator.finishWindow(tokens: 13).hasGradient)
      optimizer.update(under.parameters, gradient: under.estimator.gradient, rate: 0.001, on: pool)
      average.add(under.parameters, update: optimizer.updates, on: pool)
      under.estimator.take(under.parameters)
    }
  }
}
