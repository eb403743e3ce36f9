import CLongzooAllocations
import Foundation
import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Synchronization
import Testing

@testable import LongzooEstimator

/// Heap allocations of a whole update – window, estimate, optimizer, average, packing – on all threads that work on it, once
/// everything has been used before. `allocations.json` has the most that each kind may make.
@Suite("Allocations in the steady state")
struct AllocationTests {
  static let shape = ModelShape(vocabularySize: 70, hiddenSize: 30, layers: 2, heads: 3)

  /// One kind of run, whatever its estimator.
  struct Run: Sendable, CustomTestStringConvertible {
    var name: String
    var make: @Sendable (ThreadPool) throws -> (_ update: Int) -> Void
    var testDescription: String { name }
  }

  static let runs: [Run] =
    [
      cdrge("cd-rge rank1, zo readout") { _ in },
      cdrge("cd-rge rank1, exact readout") { $0.exactReadout = true },
      cdrge("cd-rge rank1, lifetime 3") { $0.lifetime = 3 },
      cdrge("cd-rge rank1, one stream a pair") { $0.streams = $0.pairs },
      cdrge("cd-rge rank1, sgd", optimizer: .sgd) { _ in },
      // OpenBLAS packs small matrices into memory that it takes and gives back: once for each of 360 products.
      cdrge("cd-rge rank1, muon", optimizer: .muon) { _ in },
      cdrge("cd-rge rademacher, zo readout") { $0.kind = .rademacher },
      cdrge("cd-rge rademacher, exact readout") {
        $0.kind = .rademacher
        $0.exactReadout = true
      },
      cdrge("cd-rge rank 3, zo readout") { $0.kind = .products(3) },
      cdrge("cd-rge gaussian, zo readout") { $0.kind = .gaussian },
      inPlace("cd-rge in place, polyak"),
      cdrge("jvp, zo readout") { $0.method = .tangent },
      cdrge("jvp, exact readout, lifetime 3") {
        $0.method = .tangent
        $0.exactReadout = true
        $0.lifetime = 3
      },
      cdrge("nres") { $0.method = .unroll },
      cdrge("pes") { $0.method = .persistent },
      fdrge("fd-rge, one stream") { $0.streams = 1 },
      fdrge("fd-rge, one stream a pair") {
        $0.streams = $0.pairs
        $0.exactReadout = true
      },
      bptt("bptt", BPTT.Configuration(streams: 4, window: 24)),
      bptt(
        "bptt, binomial", BPTT.Configuration(streams: 4, window: 64, checkpointing: .binomial(checkpoints: 1))
      ),
      bptt("tbptt", BPTT.Configuration(streams: 5, window: 8, clip: 0.001)),
      hybrid("hybrid"), nodes("node"), nodes("node, zo readout", exactReadout: false),
    ]

  @Test(
    "An update allocates what the thresholds allow", .enabled(if: allocations_can_be_counted() != 0),
    arguments: runs, [1, 2])
  func allocations(_ run: Run, threads: Int) throws {
    let pool = try ThreadPool(threads: threads)
    let update = try run.make(pool)
    for number in 0..<12 { update(number) }
    let updates = 6
    let counted = count(on: pool) { for number in 12..<12 + updates { update(number) } }
    let perUpdate = Double(counted.allocations) / Double(updates)
    let allowed = try #require(try Self.thresholds()[run.name], "\(run.name) has no line in allocations.json")
    #expect(
      perUpdate <= allowed,
      "\(run.name): \(perUpdate) allocations an update (\(counted.bytes) bytes in \(updates)), \(perUpdate - allowed) too many"
    )
  }

  @Test("What any thread allocates is counted", .enabled(if: allocations_can_be_counted() != 0))
  func counterCounts() throws {
    let pool = try ThreadPool(threads: 2)
    var kept: [[Int]] = [[], []]
    let counted = count(on: pool) {
      kept.withUnsafeMutableBufferPointer { kept in
        everyThread(of: pool) { thread in kept[thread] = [Int](repeating: thread, count: 100) }
      }
    }
    #expect(counted.allocations == 2 && counted.bytes >= 1600, "\(counted)")
    #expect(kept.map(\.count) == [100, 100])
  }

  @Test("Every threshold belongs to a run")
  func thresholdsAreUsed() throws {
    #expect(Set(try Self.thresholds().keys) == Set(Self.runs.map(\.name)))
  }

  private static func thresholds() throws -> [String: Double] {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "allocations.json")
    return try JSONDecoder().decode([String: Double].self, from: Data(contentsOf: file))
  }
}

// MARK: Counting

/// Runs `body` once on each thread of a pool: a task waits until every thread has one.
private func everyThread(of pool: ThreadPool, _ body: (_ thread: Int) -> Void) {
  let arrived = Atomic<Int>(0)
  pool.run(pool.threads) { _, thread in
    arrived.add(1, ordering: .acquiringAndReleasing)
    while arrived.load(ordering: .acquiring) < pool.threads { sched_yield() }
    body(thread)
  }
}

/// What the threads of a pool allocate while `body` runs.
private func count(on pool: ThreadPool, _ body: () -> Void) -> (allocations: Int, bytes: Int) {
  let allocations = Atomic<Int>(0)
  let bytes = Atomic<Int>(0)
  everyThread(of: pool) { thread in if thread > 0 { allocations_begin() } }
  allocations_begin()
  body()
  var ownBytes: Int64 = 0
  let own = Int(allocations_end(&ownBytes))
  everyThread(of: pool) { thread in
    guard thread > 0 else { return }
    var more: Int64 = 0
    allocations.add(Int(allocations_end(&more)), ordering: .relaxed)
    bytes.add(Int(more), ordering: .relaxed)
  }
  return (own + allocations.load(ordering: .relaxed), Int(ownBytes) + bytes.load(ordering: .relaxed))
}

// MARK: Runs

extension AllocationTests {
  private static func tokens(_ streams: Int, _ count: Int) -> [UInt32] {
    var random = ModelRandom(3)
    return random.tokens(streams * count, vocabulary: shape.vocabularySize)
  }

  /// Everything that an update of the shared regime is made of.
  private static func updates<Estimator: GradientEstimator>(
    _ estimator: Estimator, chunks: [Int], streams: Int, optimizer kind: OptimizerKind, on pool: ThreadPool
  ) throws -> (Int) -> Void {
    let ledger = MemoryLedger()
    let parameters = try Parameters(shape, ledger: ledger)
    parameters.initialize(seed: 5)
    let optimizer = try Optimizer(shape, .init(kind: kind), ledger: ledger)
    let average = try WeightAverage(shape, ledger: ledger)
    let (stride, window) = (chunks.max()! + 1, chunks.reduce(0, +))
    let tokens = tokens(streams, stride)
    estimator.take(parameters)
    return { number in
      if number % 4 == 0 { estimator.beginContext() }
      estimator.beginWindow(number)
      for chunk in chunks { estimator.consume(tokens, stride: stride, count: chunk) }
      precondition(estimator.finishWindow(tokens: window).hasGradient)
      optimizer.update(parameters, gradient: estimator.gradient, rate: 0.001, on: pool)
      average.add(parameters, update: optimizer.updates, on: pool)
      estimator.take(parameters)
    }
  }

  private static func configuration(_ change: (inout CDRGE.Configuration) -> Void) -> CDRGE.Configuration {
    var c = CDRGE.Configuration(pairs: 40, epsilon: 0.1, exactReadout: false, streams: 4, chunk: 8, seed: 1)
    change(&c)
    return c
  }

  private static func cdrge(
    _ name: String, optimizer: OptimizerKind = .adam,
    _ change: @escaping @Sendable (inout CDRGE.Configuration) -> Void
  ) -> Run {
    Run(name: name) { pool in
      let c = configuration(change)
      let estimator = try CDRGE(shape, c, pool: pool, ledger: MemoryLedger())
      return try updates(estimator, chunks: [8, 5], streams: c.streams, optimizer: optimizer, on: pool)
    }
  }

  private static func fdrge(
    _ name: String, _ change: @escaping @Sendable (inout FDRGE.Configuration) -> Void
  ) -> Run {
    Run(name: name) { pool in
      let c = configuration(change)
      let estimator = try FDRGE(shape, c, pool: pool, ledger: MemoryLedger())
      return try updates(estimator, chunks: [8, 5], streams: c.streams, optimizer: .adam, on: pool)
    }
  }

  private static func inPlace(_ name: String) -> Run {
    Run(name: name) { pool in
      let c = configuration {
        $0.inPlace = true
        $0.step = .polyak
        $0.carriesStates = false
      }
      let estimator = try CDRGE(shape, c, pool: pool, ledger: MemoryLedger())
      estimator.weights.initialize(seed: 5, on: pool)
      let tokens = tokens(c.streams, 9)
      return { number in
        estimator.beginContext()
        estimator.beginWindow(number)
        estimator.consume(tokens, stride: 9, count: 8)
        precondition(estimator.finishWindow(tokens: 8).hasGradient)
        estimator.descend(rate: 0.001, decay: 0)
      }
    }
  }

  private static func hybrid(_ name: String) -> Run {
    Run(name: name) { pool in
      let c = Hybrid.Configuration(
        exact: BPTT.Configuration(streams: 5, window: 8), pairs: 40, epsilon: 0.1, lifetime: 3, momentum: 0.9,
        chunk: 4, seed: 1)
      let estimator = try Hybrid(shape, c, pool: pool, ledger: MemoryLedger())
      return try updates(estimator, chunks: [4, 4], streams: 5, optimizer: .adam, on: pool)
    }
  }

  private static func nodes(_ name: String, exactReadout: Bool = true) -> Run {
    Run(name: name) { pool in
      let c = NodePerturbation.Configuration(
        pairs: 40, epsilon: 0.1, creditDecay: 0.7, exactReadout: exactReadout, window: 8, streams: 5,
        chunk: 4,
        seed: 1)
      let estimator = try NodePerturbation(shape, c, pool: pool, ledger: MemoryLedger())
      return try updates(estimator, chunks: [4, 4], streams: 5, optimizer: .adam, on: pool)
    }
  }

  private static func bptt(_ name: String, _ c: BPTT.Configuration) -> Run {
    Run(name: name) { pool in
      let estimator = try BPTT(shape, c, pool: pool, ledger: MemoryLedger())
      let chunks = [c.window / 2, c.window - c.window / 2]
      return try updates(estimator, chunks: chunks, streams: c.streams, optimizer: .adam, on: pool)
    }
  }
}
