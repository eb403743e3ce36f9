import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooStream

/// How near the gradients of several methods come to the exact one: one context from a zero state, the same tokens, the
/// same weights, which a few updates of truncated BPTT have taken away from their start.
///
/// A method that updates within the context is asked for the mean of its windows' gradients, the weights held still. Its
/// cosine says what the updates of a whole context are worth, if the learning rate is small.
package final class GradientComparison {
  /// The exact gradient is always within this, by binomial checkpointing.
  static let memory = 256 << 20
  private static let warmUpUpdates = 200
  private static let warmUpStreams = 16

  private let common: RunPlan
  private let seconds: Double
  private let stop: () -> Bool
  private let pool: ThreadPool
  private var weights: Parameters?
  private var exact: [Int: [Float]] = [:]
  /// Seconds a token, as far as known: what is going to take too long is not begun.
  private var secondsPerToken: [String: Double] = [:]

  /// - Parameters:
  ///   - common: data, model, streams and seed, which all methods share; not settled.
  ///   - seconds: for each gradient; one that would take longer is left out.
  ///   - stop: asked before every window; true ends the measurement.
  /// - Throws: `SystemRefusal` if there are no threads.
  package init(
    common: RunPlan, seconds: Double, stop: @escaping () -> Bool = { false }
  ) throws(SystemRefusal) {
    (self.common, self.seconds, self.stop) = (common, seconds, stop)
    var threads = common.run.$threads
    threads.fill(ProcessInfo.processInfo.activeProcessorCount)
    pool = try ThreadPool(threads: threads.wrappedValue)
  }

  /// - Parameters:
  ///   - plan: the method's, over the context; not settled.
  ///   - name: what its pace is remembered by.
  /// - Returns: nil where it would take longer than it may, or there is no gradient.
  /// - Throws: what reading the data throws, and `RunStopped`.
  package func cosine(of plan: RunPlan, name: String) throws -> Double? {
    let context = plan.streaming.context
    guard let reference = try exactGradient(context: context) else { return nil }
    var plan = try plan.ready()
    plan.estimator.clipNorm = 0
    plan.run.memoryBudget = nil
    do {
      guard let gradient = try gradient(plan, context: context, name: name) else { return nil }
      return Self.cosine(gradient, reference)
    } catch is MemoryError {
      return nil
    }
  }

  private func exactGradient(context: Int) throws -> [Float]? {
    if let known = exact[context] { return known.isEmpty ? nil : known }
    let gradient = try exactGradientThatFits(context: context) ?? []
    exact[context] = gradient
    return gradient.isEmpty ? nil : gradient
  }

  /// nil where not even the tokens of such a context would fit into the memory for it.
  private func exactGradientThatFits(context: Int) throws -> [Float]? {
    guard context < Self.memory / (MemoryLayout<UInt32>.stride * common.streaming.streams) else { return nil }
    var plan = common
    plan.takeWholeContext(.binomial)
    plan.streaming.context = context
    plan.estimator.clipNorm = 0
    plan.run.memoryBudget = Self.memory
    plan = try plan.ready()
    plan.estimator.$checkpointingBudget.settle(Self.memory)
    do {
      return try gradient(plan, context: context, name: "exact")
    } catch is MemoryError {
      return nil
    }
  }

  /// The mean gradient of a context's windows at fixed weights.
  private func gradient(_ c: RunPlan, context: Int, name: String) throws -> [Float]? {
    if let each = secondsPerToken[name], each * Double(context) > seconds { return nil }
    let weights = try self.weights ?? warmUp()
    self.weights = weights
    let ledger = MemoryLedger()
    let windows = try WindowReader(c, ledger: ledger)
    let estimator = try c.makeEstimator(pool: pool, ledger: ledger)
    return try mean(of: estimator, weights, windows, context: context, name: name)
  }

  private func mean(
    of estimator: some GradientEstimator, _ weights: Parameters, _ windows: WindowReader, context: Int,
    name: String
  ) throws -> [Float]? {
    estimator.take(weights)
    var sum = [Float](repeating: 0, count: estimator.gradient.count)
    var (done, windowsDone) = (0, 0)
    let start = MonotonicClock().now
    while done < context {
      if stop() { throw RunStopped() }
      let (tokens, result) = try windows.run(estimator, at: windowsDone, atMost: context - done)
      guard result.hasGradient else { return nil }
      let share = Float(Double(tokens) / Double(context))
      Self.add(share, estimator.gradient.elements, to: &sum)
      done += tokens
      windowsDone += 1
      let each = (MonotonicClock().now - start) / Double(done)
      secondsPerToken[name] = each
      if each * Double(context) > seconds, done < context { return nil }
    }
    return sum
  }

  /// A start is a special place: almost nothing of its gradient runs through the state.
  private func warmUp() throws -> Parameters {
    var c = common
    c.estimator.family = .tbptt
    c.streaming.context = 0
    c.limits.maxSteps = 1
    c = try c.ready()
    c.streaming.streams = Self.warmUpStreams
    let ledger = MemoryLedger()
    let parameters = try Parameters(c.shape, ledger: ledger)
    parameters.initialize(seed: c.run.seed)
    let estimator = try c.makeEstimator(pool: pool, ledger: ledger)
    let optimizer = try Optimizer(
      c.shape, c.optimizer.configuration, ledger: ledger)
    let windows = try WindowReader(c, ledger: ledger)
    for update in 0..<Self.warmUpUpdates {
      estimator.take(parameters)
      _ = try windows.run(estimator, at: update, atMost: .max)
      optimizer.update(
        parameters, gradient: estimator.gradient, rate: Float(Recipe.exactRate), on: pool)
    }
    return parameters
  }

  private static func add(_ share: Float, _ part: UnsafeMutableBufferPointer<Float>, to sum: inout [Float]) {
    for i in sum.indices { sum[i] += share * part[i] }
  }

  package static func cosine(_ a: [Float], _ b: [Float]) -> Double {
    var (ab, aa, bb) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
      ab += Double(x) * Double(y)
      aa += Double(x) * Double(x)
      bb += Double(y) * Double(y)
    }
    return ab / (aa * bb).squareRoot()
  }
}

/// Feeds an estimator the windows of a run, one after the other.
final class WindowReader {
  private let plan: RunPlan
  private let feed: TokenFeed
  private let rows: TokenRows

  init(_ c: RunPlan, ledger: MemoryLedger) throws {
    plan = c
    feed = try TokenFeed(c.trainingData, resume: nil, ledger: ledger)
    rows = try TokenRows(
      streams: c.streaming.streams, chunk: c.chunk, vocabularySize: c.data.vocabularySize, ledger: ledger)
  }

  /// - Parameter number: of the window: it decides its directions.
  /// - Returns: the tokens that it had.
  func run(_ estimator: some GradientEstimator, at number: Int, atMost limit: Int) throws -> (
    tokens: Int, result: any GradientResult
  ) {
    let wanted = min(plan.tokensOfWindow, limit)
    var read = 0
    estimator.beginWindow(number)
    while read < wanted {
      let count = try rows.fill(min(plan.chunk, wanted - read), from: feed)
      if count == 0 { throw RunFailure.badData("the data ended before its first window did") }
      estimator.consume(rows.block(count))
      read += count
    }
    return (read, estimator.finishWindow(tokens: read))
  }
}
