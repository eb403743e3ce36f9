import LongzooMemory
import LongzooModel

/// An estimator that its own `Configuration` decides, and whose bytes are known before there is one.
public protocol ConfiguredEstimator: GradientEstimator {
  /// All that decides it but the model's sizes and the machine.
  associatedtype Configuration: Sendable

  /// - Parameters:
  ///   - pool: its threads share the work; results do not depend on their number.
  ///   - instructions: which kernels compute.
  /// - Throws: `MemoryError`, if the ledger's budget or the system does not allow it; what would break the
  ///   budget is not touched.
  init(
    _ shape: ModelShape, _ configuration: Configuration, pool: ThreadPool, instructions: Instructions,
    ledger: MemoryLedger) throws(MemoryError)

  /// The bytes that `init` reserves, to the byte.
  static func byteCount(for shape: ModelShape, _ configuration: Configuration, threads: Int) -> MemoryTable
  /// The bytes of `carried`.
  static func carriedBytes(for shape: ModelShape, _ configuration: Configuration) -> Int
}

extension CDRGE: ConfiguredEstimator {}
extension FDRGE: ConfiguredEstimator {}
extension NodePerturbation: ConfiguredEstimator {}
extension BPTT: ConfiguredEstimator {}
extension Hybrid: ConfiguredEstimator {}

/// An estimator that is configured and not made yet.
protocol EstimatorPlan {
  func make(
    _ shape: ModelShape, _ pool: ThreadPool, _ instructions: Instructions, _ ledger: MemoryLedger
  ) throws(MemoryError) -> any GradientEstimator
  func byteCount(_ shape: ModelShape, threads: Int) -> MemoryTable
  func carriedBytes(_ shape: ModelShape) -> Int
}

struct PlanOf<Estimator: ConfiguredEstimator>: EstimatorPlan {
  let configuration: Estimator.Configuration

  init(_ estimator: Estimator.Type, _ configuration: Estimator.Configuration) {
    self.configuration = configuration
  }

  func make(
    _ shape: ModelShape, _ pool: ThreadPool, _ instructions: Instructions, _ ledger: MemoryLedger
  ) throws(MemoryError) -> any GradientEstimator {
    try Estimator(shape, configuration, pool: pool, instructions: instructions, ledger: ledger)
  }

  func byteCount(_ shape: ModelShape, threads: Int) -> MemoryTable {
    Estimator.byteCount(for: shape, configuration, threads: threads)
  }

  func carriedBytes(_ shape: ModelShape) -> Int { Estimator.carriedBytes(for: shape, configuration) }
}
