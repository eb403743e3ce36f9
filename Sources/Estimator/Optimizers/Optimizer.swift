import LongzooMemory
import LongzooModel

/// The optimizers that there are.
public enum OptimizerKind: String, CaseIterable, Codable, Sendable {
  /// Gradient descent with momentum.
  case sgd
  /// Adam, whose decay is decoupled (Kingma and Ba, 2015; Loshchilov and Hutter, 2019).
  case adam
  /// Orthogonal steps of the layers' matrices, Adam's for everything else (Jordan et al., 2024).
  case muon

  /// Vectors as long as the parameters that it keeps: 1 or 2. Only those with a second one have a β₂.
  public var moments: Int { rule.moments }

  /// What it does; one line for each.
  var rule: any UpdateRule.Type {
    switch self {
    case .sgd: SGD.self
    case .adam: Adam.self
    case .muon: Muon.self
    }
  }
}

/// Turns a gradient into a step.
///
/// What a step is says its rule: `SGD`, `Adam`, `Muon`. Here are the moments, the loop over the parameters, and what is stepped
/// at which rate.
///
/// η is the rate times `Configuration.tableRate` for the token table, and the rate for everything else.
public final class Optimizer {
  /// What an optimizer is told.
  ///
  /// Updates compute in Float: each number is rounded to one first.
  public struct Configuration: Equatable, Sendable {
    /// The rule.
    @Choice public var kind = OptimizerKind.adam
    /// μ of sgd, β₁ of adam and muon; at least 0 and less than 1.
    @Choice public var momentum = 0.9
    /// β₂ of adam and muon, at least 0 and less than 1; sgd has none.
    @Choice public var beta2 = 0.999
    /// λ, the part of a parameter that an update takes away, in parts of the rate.
    @Choice public var weightDecay = 0.0
    /// The token table's rate in parts of that of the others. A row learns only where its token is read.
    @Choice public var tableRate = 1.0

    /// Chooses what is named.
    public init(
      kind: OptimizerKind? = nil, momentum: Double? = nil, beta2: Double? = nil, weightDecay: Double? = nil,
      tableRate: Double? = nil
    ) {
      if let kind { self.kind = kind }
      if let momentum { self.momentum = momentum }
      if let beta2 { self.beta2 = beta2 }
      if let weightDecay { self.weightDecay = weightDecay }
      if let tableRate { self.tableRate = tableRate }
    }
  }

  /// What it was told.
  public let configuration: Configuration
  /// v of sgd, m of adam and muon.
  public let first: Buffer<Float>
  /// s of adam; muon's matrices have the U of the update that was made last there. Empty for sgd.
  public let second: Buffer<Float>
  /// Updates made so far.
  public var updates = 0
  let rule: any UpdateRule
  private let runs: ParameterRuns

  private struct Rooms {
    let first: Room<Float>
    let second: Room<Float>
    let table: MemoryTable

    init(_ shape: ModelShape, _ rule: any UpdateRule.Type) {
      var table = MemoryTable()
      first = table.add(shape.parameterCount, .optimizer, for: "the optimizer's first moment")
      second = table.add(
        rule.moments > 1 ? shape.parameterCount : 0, .optimizer, for: "the optimizer's second moment")
      self.table = table
    }
  }

  /// The bytes that `init` reserves.
  public static func byteCount(for shape: ModelShape, _ c: Configuration) -> Int {
    Rooms(shape, c.kind.rule).table.total + c.kind.rule.byteCount(for: shape)
  }

  /// - Parameters:
  ///   - shape: that of the parameters.
  ///   - instructions: the widest by default; for tests and measurements.
  /// - Throws: `MemoryError`, if the ledger's budget or the system does not allow it.
  public init(
    _ shape: ModelShape, _ configuration: Configuration, instructions: Instructions = .best,
    ledger: MemoryLedger
  ) throws(MemoryError) {
    self.configuration = configuration
    let kind = configuration.kind.rule
    let rooms = Rooms(shape, kind)
    runs = ParameterRuns(shape, configuration)
    first = try rooms.first.buffer(ledger)
    second = try rooms.second.buffer(ledger)
    rule = try kind.init(shape, configuration, instructions: instructions, ledger: ledger)
  }

  /// All pieces of the update that was begun last.
  func pieces(rate: Float) -> UpdatePieces {
    UpdatePieces(runs: runs, rate: rate, update: updates, first: first.pointer, second: second.pointer)
  }

  /// One update at learning rate η.
  /// - Parameters:
  ///   - parameters: of the optimizer's shape.
  ///   - gradient: in the order of the parameters, [parameterCount].
  public func update(
    _ parameters: Parameters, gradient: borrowing Buffer<Float>, rate: Float, on pool: ThreadPool
  ) {
    precondition(
      parameters.values.count == first.count && gradient.count == first.count,
      "\(parameters.values.count) parameters and \(gradient.count) derivatives for \(first.count) moments")
    updates += 1
    let gradient = gradient.pointer
    let pieces = pieces(rate: rate)
    rule.prepare(pieces, gradient: gradient, on: pool)
    pool.run(pieces.count) { task, _ in
      let piece = pieces[task]
      rule.step(
        piece, gradient: gradient + piece.start, parameters: parameters.values.pointer + piece.start)
    }
  }
}
