import Estimator
import Foundation
import Memory
import Model

/// The multiply-add peak of all threads together.
enum PeakMeter {
  /// GFLOP/s over about 40 ms.
  static func gflops(on pool: ThreadPool) -> Double {
    let rounds = 4_000_000
    var operations = [Double](repeating: 0, count: pool.threads)
    let start = TrainingClock.now()
    operations.withUnsafeMutableBufferPointer { all in
      let slots = all
      pool.run(pool.threads) { task, _ in slots[task] = Instructions.best.fusedMultiplyAdds(rounds: rounds) }
    }
    return operations.reduce(0, +) / (TrainingClock.now() - start) / 1e9
  }
}

/// One shape of the population step, on random tokens; every pair reads its own.
final class BenchCase {
  let configuration: RunConfiguration
  private let estimator: CDRGE
  private let rows: TokenRows
  private var rates: [Double] = []
  private var fractions: [Double] = []

  init(_ c: RunConfiguration, pool: ThreadPool) throws {
    configuration = c
    let ledger = MemoryLedger()
    let parameters = try Parameters(c.shape, ledger: ledger)
    parameters.initialize(seed: c.seed)
    estimator = try CDRGE(c.shape, c.cdrge, pool: pool, ledger: ledger)
    estimator.take(parameters)
    rows = try TokenRows(streams: c.streams, chunk: c.chunk, ledger: ledger)
    let random = Philox(seed: c.seed, domain: .initialization, tensor: 0)
    for i in 0..<rows.values.count {
      rows.values[i] = random.block(UInt32(i), 1)[0] % UInt32(c.vocabularySize)
    }
    estimator.beginWindow(0)
    advance()
  }

  /// One chunk of tokens for every pair.
  private func advance() {
    estimator.consume(rows.values.pointer, stride: rows.stride, count: configuration.chunk)
  }

  /// About 0.1 s of steps, against the peak that was measured just before.
  func measure(peak: Double) {
    let start = TrainingClock.now()
    var chunks = 0
    repeat {
      advance()
      chunks += 1
    } while TrainingClock.now() - start < 0.1
    let seconds = TrainingClock.now() - start
    let rate = Double(chunks * configuration.chunk * configuration.pairs * 2) / seconds
    rates.append(rate)
    fractions.append(rate * configuration.shape.flopsPerTokenColumn / 1e9 / peak)
  }

  /// Token-columns a second.
  var rate: Double { Self.median(rates) }
  var gflops: Double { rate * configuration.shape.flopsPerTokenColumn / 1e9 }
  var fraction: Double { Self.median(fractions) }

  static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }
}
