import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel

/// The multiply-add peak of all threads together.
package enum PeakMeter {
  /// GFLOP/s over about 40 ms.
  package static func gflops(_ instructions: Instructions, on pool: ThreadPool) -> Double {
    let rounds = 4_000_000
    var operations = [Double](repeating: 0, count: pool.threads)
    let start = MonotonicClock().now
    operations.withUnsafeMutableBufferPointer { all in
      let slots = all
      pool.run(pool.threads) { task, _ in slots[task] = instructions.fusedMultiplyAdds(rounds: rounds) }
    }
    return operations.reduce(0, +) / (MonotonicClock().now - start) / 1e9
  }
}

/// One shape of the population step, on random tokens: the step alone, and whole updates as train makes them.
package final class BenchCase {
  package let plan: RunPlan
  package let step: BenchFigure
  package let update: BenchFigure
  private let state: SharedState
  private let rows: TokenRows
  private let stop: () -> Bool
  private var window = 0

  private static let seconds = 0.1
  /// Random tokens have nothing to teach; what an update costs does not depend on its length.
  private static let rate: Float = 1e-4

  /// - Parameters:
  ///   - c: model, estimator, streams and windows; its data is not read.
  ///   - stop: asked before every chunk of tokens, however long the windows are; true ends the measurement.
  /// - Throws: `RunStopped`, and `MemoryError` where the system has no memory for it.
  package init(
    _ c: RunPlan, _ instructions: Instructions, pool: ThreadPool, stop: @escaping () -> Bool = { false }
  ) throws {
    plan = c
    self.stop = stop
    step = BenchFigure(c)
    update = BenchFigure(c)
    let ledger = MemoryLedger()
    state = try SharedState(c, pool: pool, instructions: instructions, ledger: ledger)
    try state.begin(c, from: nil, through: TransferBuffer(ledger: ledger))
    state.start()
    rows = try TokenRows(
      streams: c.streaming.streams, chunk: c.chunk, vocabularySize: c.data.vocabularySize, ledger: ledger)
    let random = Philox(seed: c.run.seed, domain: .initialization, tensor: 0)
    for i in 0..<rows.values.count {
      rows.values[i] = random.block(UInt32(i), 1)[0] % UInt32(c.data.vocabularySize)
    }
    try runWindow()
  }

  /// One chunk of tokens for every pair.
  private func advance(_ tokens: Int) throws(RunStopped) {
    if stop() { throw RunStopped() }
    state.estimator.consume(rows.block(tokens))
  }

  /// A window, its estimate, and its update.
  private func runWindow() throws(RunStopped) {
    let tokens = plan.tokensOfWindow
    state.estimator.beginWindow(window)
    for start in stride(from: 0, to: tokens, by: plan.chunk) {
      try advance(min(plan.chunk, tokens - start))
    }
    if state.estimator.finishWindow(tokens: tokens).hasGradient { state.update(rate: Self.rate) }
    window += 1
  }

  /// About 0.1 s of steps, against the peak that was measured just before.
  /// - Throws: `RunStopped`.
  package func measureStep(peak: Double) throws {
    state.estimator.beginWindow(window)
    var tokens = 0
    try step.add(peak: peak) {
      let start = MonotonicClock().now
      repeat {
        try advance(plan.chunk)
        tokens += plan.chunk
      } while MonotonicClock().now - start < Self.seconds
      return tokens
    }
    _ = state.estimator.finishWindow(tokens: tokens)
    window += 1
  }

  /// About 0.1 s of whole updates, against the peak that was measured just before.
  /// - Throws: `RunStopped`.
  package func measureUpdates(peak: Double) throws {
    try update.add(peak: peak) {
      let (start, first) = (MonotonicClock().now, window)
      repeat { try runWindow() } while MonotonicClock().now - start < Self.seconds
      let tokens = plan.tokensOfWindow
      return (window - first) * tokens
    }
  }
}

/// The rates of several rounds, and their medians.
package final class BenchFigure {
  private let plan: RunPlan
  private var rates: [Double] = []
  private var fractions: [Double] = []

  init(_ c: RunPlan) { plan = c }

  /// Times what reads as many tokens of every stream as it returns.
  func add(peak: Double, _ body: () throws -> Int) rethrows {
    let start = MonotonicClock().now
    let tokens = try body()
    let rate = Double(tokens * plan.columns) / (MonotonicClock().now - start)
    rates.append(rate)
    fractions.append(rate * plan.shape.flopsPerTokenColumn / 1e9 / peak)
  }

  /// Token-columns a second.
  package var rate: Double { Self.median(rates) }
  package var gflops: Double { rate * plan.shape.flopsPerTokenColumn / 1e9 }
  /// The part of the peak.
  package var fraction: Double { Self.median(fractions) }

  /// NaN of no values.
  package static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }
}
