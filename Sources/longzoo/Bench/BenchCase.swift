import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooTraining

/// The multiply-add peak of all threads together.
enum PeakMeter {
  /// GFLOP/s over about 40 ms.
  static func gflops(_ instructions: Instructions, on pool: ThreadPool) -> Double {
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
final class BenchCase {
  let plan: RunPlan
  let step: BenchFigure
  let update: BenchFigure
  private let state: SharedState
  private let rows: TokenRows
  private var window = 0

  private static let seconds = 0.1
  /// Random tokens have nothing to teach; what an update costs does not depend on its length.
  private static let rate: Float = 1e-4

  init(_ c: RunPlan, _ instructions: Instructions, pool: ThreadPool) throws {
    plan = c
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
    runWindow()
  }

  /// One chunk of tokens for every pair. A signal is heard here, however long the windows are.
  private func advance(_ tokens: Int) {
    Signals.endIfAsked()
    state.estimator.consume(rows.block(tokens))
  }

  /// A window, its estimate, and its update.
  private func runWindow() {
    let tokens = plan.tokensOfWindow
    state.estimator.beginWindow(window)
    for start in stride(from: 0, to: tokens, by: plan.chunk) {
      advance(min(plan.chunk, tokens - start))
    }
    if state.estimator.finishWindow(tokens: tokens).hasGradient { state.update(rate: Self.rate) }
    window += 1
  }

  /// About 0.1 s of steps, against the peak that was measured just before.
  func measureStep(peak: Double) {
    state.estimator.beginWindow(window)
    var tokens = 0
    step.add(peak: peak) {
      let start = MonotonicClock().now
      repeat {
        advance(plan.chunk)
        tokens += plan.chunk
      } while MonotonicClock().now - start < Self.seconds
      return tokens
    }
    _ = state.estimator.finishWindow(tokens: tokens)
    window += 1
  }

  /// The same of whole updates.
  func measureUpdates(peak: Double) {
    update.add(peak: peak) {
      let (start, first) = (MonotonicClock().now, window)
      repeat { runWindow() } while MonotonicClock().now - start < Self.seconds
      let tokens = plan.tokensOfWindow
      return (window - first) * tokens
    }
  }
}

/// Rates of several rounds.
final class BenchFigure {
  private let plan: RunPlan
  private var rates: [Double] = []
  private var fractions: [Double] = []

  init(_ c: RunPlan) { plan = c }

  /// Times what reads as many tokens of every stream as it returns.
  func add(peak: Double, _ body: () -> Int) {
    let start = MonotonicClock().now
    let tokens = body()
    let rate = Double(tokens * plan.columns) / (MonotonicClock().now - start)
    rates.append(rate)
    fractions.append(rate * plan.shape.flopsPerTokenColumn / 1e9 / peak)
  }

  /// Token-columns a second.
  var rate: Double { Self.median(rates) }
  var gflops: Double { rate * plan.shape.flopsPerTokenColumn / 1e9 }
  var fraction: Double { Self.median(fractions) }

  static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }
}
