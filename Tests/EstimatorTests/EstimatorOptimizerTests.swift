import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

@Suite("Optimizers")
struct EstimatorOptimizerTests {
  /// More than one piece of the optimizer's loop, and a last one that ends inside of a vector.
  static let large = ModelShape(vocabularySize: 131, hiddenSize: 31, layers: 2)

  struct Case: Sendable, CustomTestStringConvertible {
    var configuration: Optimizer.Configuration
    var testDescription: String {
      "\(configuration.kind) \(configuration.momentum) \(configuration.beta2) \(configuration.weightDecay) \(configuration.tableRate)"
    }
  }

  static let cases = [
    Case(configuration: .init(kind: .sgd, momentum: 0)),
    Case(configuration: .init(kind: .sgd, momentum: 0.9)),
    Case(configuration: .init(kind: .sgd, momentum: 0.5, weightDecay: 0.1)),
    Case(configuration: .init(kind: .adam)),
    Case(configuration: .init(kind: .adam, momentum: 0.5, beta2: 0.9)),
    Case(configuration: .init(kind: .adam, momentum: 0.9, beta2: 0.99, weightDecay: 0.2)),
    Case(configuration: .init(kind: .sgd, weightDecay: 0.1, tableRate: 3)),
    Case(configuration: .init(kind: .adam, weightDecay: 0.2, tableRate: 5)),
    Case(configuration: .init(kind: .muon, weightDecay: 0.2, tableRate: 5)),
  ]

  /// The formulas of the documentation, for one parameter.
  private struct Plain {
    var theta: Double
    var m = 0.0
    var s = 0.0
    var t = 0

    mutating func update(_ g: Double, _ c: Optimizer.Configuration, rate: Double) {
      t += 1
      // As the optimizer rounds them.
      let (b1, b2) = (Double(Float(c.momentum)), Double(Float(c.beta2)))
      let decay = Double(Float(c.weightDecay))
      theta -= rate * decay * theta
      switch c.kind {
      case .sgd:
        m = b1 * m + g
        theta -= rate * m
      case .adam, .muon:
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * g * g
        let (mean, square) = (m / (1 - power(b1)), s / (1 - power(b2)))
        theta -= rate * mean / (square.squareRoot() + 1e-8)
      }
    }

    private func power(_ base: Double) -> Double { (0..<t).reduce(1) { product, _ in product * base } }
  }

  /// The table ends four parameters into a vector.
  static let table = large.slice(.table).range

  /// Muon's matrices, which have a rule of their own (`OrthogonalizerTests`).
  private static func isMatrix(_ i: Int) -> Bool {
    (0..<large.layers).contains { large.slice(.kernel($0)).range.contains(i) }
  }

  @Test("Updates follow the documented formulas, whatever the instructions and threads", arguments: cases)
  func formulas(_ test: Case) throws {
    let count = Self.large.parameterCount
    let rate: Float = 0.03
    for instructions in Instructions.allCases where instructions.isSupported {
      let ledger = MemoryLedger()
      let pool = try ThreadPool(threads: 2)
      let parameters = try Parameters(Self.large, ledger: ledger)
      let gradient = try Buffer<Float>(count: count, .perturbations, for: "a test", ledger: ledger)
      let optimizer = try Optimizer(
        Self.large, test.configuration, instructions: instructions, ledger: ledger)
      var random = ModelRandom(2)
      for i in 0..<count { parameters.values[i] = Float(random.unit()) }
      var plain = parameters.values.array.map { Plain(theta: Double($0)) }
      let updates = 6
      for _ in 0..<updates {
        // Every seventh parameter has no gradient at all; sizes span six orders.
        for i in 0..<count {
          gradient[i] = i % 7 == 3 ? 0 : Float(random.unit()) * [1e-3, 1, 1e3][i % 3]
        }
        optimizer.update(parameters, gradient: gradient, rate: rate, on: pool)
        for i in 0..<count {
          let factor = Self.table.contains(i) ? test.configuration.tableRate : 1
          plain[i].update(Double(gradient[i]), test.configuration, rate: Double(rate) * factor)
        }
      }
      #expect(optimizer.updates == updates)
      var worst = 0.0
      for i in 0..<count where test.configuration.kind != .muon || !Self.isMatrix(i) {
        // Each update rounds θ, and the step: some ten times by half an ulp of the largest it may be.
        let step = test.configuration.kind != .sgd ? 1 : Double(updates) * [1e-3, 1, 1e3][i % 3]
        let tolerance =
          Double(updates)
          * (abs(plain[i].theta) + 1 + 10 * Double(rate) * test.configuration.tableRate * step) * 0x1p-23
        worst = max(worst, abs(Double(parameters.values[i]) - plain[i].theta) / tolerance)
      }
      #expect(worst <= 1, "\(instructions)")
    }
  }

  // MARK: Small problems

  struct Problem: Sendable, CustomTestStringConvertible {
    var name: String
    var start: [Double]
    var optimum: [Double]
    var gradient: @Sendable ([Double]) -> [Double]
    var testDescription: String { name }

    static let all = [
      Problem(
        name: "quadratic of condition 20", start: [3, -2, 1, 0], optimum: [1, 1, -1, 0.5],
        gradient: { x in
          zip(zip(x, [1, 1, -1, 0.5]), [1, 3, 8, 20]).map { $1 * ($0.0 - $0.1) }
        }),
      Problem(
        name: "Rosenbrock's valley, ten times flatter", start: [-1, 1], optimum: [1, 1],
        gradient: { x in
          let bend = x[1] - x[0] * x[0]
          return [-2 * (1 - x[0]) - 40 * x[0] * bend, 20 * bend]
        }),
      Problem(
        name: "log cosh, whose gradient is bounded", start: [5, -7], optimum: [0.5, 0],
        gradient: { x in [tanhOf(x[0] - 0.5), tanhOf(x[1])] }),
    ]

    private static func tanhOf(_ x: Double) -> Double {
      // By its series' continued fraction; exact enough for a gradient.
      let u = x * x
      return abs(x) > 5
        ? (x < 0 ? -1 : 1) : x * (10395 + u * (1260 + u * 21)) / (10395 + u * (4725 + u * (210 + u)))
    }
  }

  static let settings: [(Optimizer.Configuration, rate: Float, updates: Int)] = [
    (.init(kind: .sgd, momentum: 0), 0.01, 6000), (.init(kind: .sgd, momentum: 0.9), 0.002, 4000),
    (.init(kind: .adam), 0.02, 4000), (.init(kind: .adam, momentum: 0.5, beta2: 0.9), 0.003, 12000),
  ]

  @Test("Every optimizer finds the optimum of every small problem", arguments: Problem.all)
  func convergence(_ problem: Problem) throws {
    let shape = ModelShape(vocabularySize: 2, hiddenSize: 1)
    for (configuration, rate, updates) in Self.settings {
      let ledger = MemoryLedger()
      let pool = try ThreadPool(threads: 1)
      let parameters = try Parameters(shape, ledger: ledger)
      let gradient = try Buffer<Float>(
        count: shape.parameterCount, .perturbations, for: "a test", ledger: ledger)
      let optimizer = try Optimizer(shape, configuration, ledger: ledger)
      for (i, value) in problem.start.enumerated() { parameters.values[i] = Float(value) }
      for update in 0..<updates {
        let x = (0..<problem.start.count).map { Double(parameters.values[$0]) }
        for (i, value) in problem.gradient(x).enumerated() { gradient[i] = Float(value) }
        // Adam's step does not shrink with the gradient: its rate goes down to zero.
        let rest = configuration.kind == .adam ? 1 - Float(update) / Float(updates) : 1
        optimizer.update(parameters, gradient: gradient, rate: rate * rest, on: pool)
      }
      for (i, value) in problem.optimum.enumerated() {
        let found = Double(parameters.values[i])
        #expect(
          abs(found - value) < 0.01, "\(configuration.kind) \(configuration.momentum): x\(i) = \(found)")
      }
    }
  }

  @Test("Decay of weights moves a quadratic's optimum to Λ·t/(Λ + λ) under sgd")
  func decay() throws {
    let shape = ModelShape(vocabularySize: 2, hiddenSize: 1)
    let ledger = MemoryLedger()
    let parameters = try Parameters(shape, ledger: ledger)
    let gradient = try Buffer<Float>(
      count: shape.parameterCount, .perturbations, for: "a test", ledger: ledger)
    let optimizer = try Optimizer(
      shape, .init(kind: .sgd, momentum: 0, weightDecay: 0.5), ledger: ledger)
    let pool = try ThreadPool(threads: 1)
    for _ in 0..<2000 {
      for i in 0..<3 { gradient[i] = Float(i + 1) * (parameters.values[i] - 2) }
      optimizer.update(parameters, gradient: gradient, rate: 0.05, on: pool)
    }
    for i in 0..<3 {
      let curvature = Float(i + 1)
      #expect(abs(parameters.values[i] - 2 * curvature / (curvature + 0.5)) < 1e-5)
    }
  }
}
