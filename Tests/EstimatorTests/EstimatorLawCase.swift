import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

/// An estimator of a family, what it is told and what it works on.
struct EstimatorLawCase: Sendable, CustomTestStringConvertible {
  var family: EstimatorFamily
  var what: String
  var configuration: EstimatorConfiguration
  var workload: EstimatorWorkload

  var testDescription: String { "\(family.name), \(what)" }
  var chunk: Int { family.chunk(configuration, workload) }
  /// Whether a window's states end with it: then it is one chunk.
  var isTransient: Bool { workload.inPlace && workload.isWholeContext }

  /// A small model of several layers and heads, pairs that fill no tile, windows of at most 8 tokens.
  init(_ family: EstimatorFamily, pairs: Int = 40, streams: Int = 3) {
    self.family = family
    what = "as it comes"
    configuration = EstimatorConfiguration()
    (configuration.pairs, configuration.epsilon, configuration.lifetime) = (pairs, 0.05, 2)
    workload = EstimatorWorkload(
      shape: ModelShape(vocabularySize: 13, hiddenSize: 6, layers: 2, heads: 2), streams: streams, window: 8,
      context: 32, seed: 99)
  }

  func but(_ what: String, _ change: (inout EstimatorLawCase) -> Void) -> EstimatorLawCase {
    var other = self
    other.what = what
    change(&other)
    return other
  }

  /// An estimator on its model's random weights and tokens.
  func subject(threads: Int = 1, ledger: MemoryLedger = MemoryLedger()) throws -> any EstimatorSubject {
    let pool = try ThreadPool(threads: threads)
    return try Self.subject(
      try family.make(configuration, workload, pool: pool, ledger: ledger), workload, pool)
  }

  private static func subject<E: GradientEstimator>(
    _ estimator: E, _ workload: EstimatorWorkload, _ pool: ThreadPool
  ) throws -> any EstimatorSubject {
    try UnderTest(workload.shape, estimator, streams: workload.streams, pool: pool)
  }
}

extension ModelShape {
  /// What makes it another.
  var what: String { "\(cell), \(block)" + (embeddingSize > 0 ? ", embedding of \(embeddingSize)" : "") }
}

extension EstimatorFamily {
  /// Everything that a setting of this family changes in what is computed, one at a time.
  var lawCases: [EstimatorLawCase] {
    let base = EstimatorLawCase(self)
    var cases = [base, base.but("one stream") { $0.workload.streams = 1 }]
    if hasPairs {
      cases.append(base.but("a stream a pair") { ($0.configuration.pairs, $0.workload.streams) = (20, 20) })
      cases.append(base.but("full tiles") { ($0.configuration.pairs, $0.workload.streams) = (64, 1) })
      cases.append(base.but("one pair") { ($0.configuration.pairs, $0.workload.streams) = (1, 1) })
    }
    cases +=
      movesWeights
      ? directionCases(base) : [base.but("several panels") { $0.workload.shape = Self.largerShape }]
    if settings.contains(.readout) {
      cases.append(base.but("estimated readout") { $0.configuration.readout = .zo })
    }
    if settings.contains(.lifetime) {
      cases.append(base.but("lifetime 3") { $0.configuration.lifetime = 3 })
    }
    if settings.contains(.step) {
      cases.append(base.but("clipped steps") { $0.configuration.step = .clipped })
    }
    if settings.contains(.maxDivergence) {
      cases.append(base.but("pairs that are sent back") { $0.configuration.maxDivergence = 0.02 })
    }
    if settings.contains(.beyondMomentum) {
      cases.append(base.but("no mean beyond the window") { $0.configuration.beyondMomentum = 0 })
    }
    if settings.contains(.checkpointing) { cases += exactCases(base) }
    for shape in otherShapes(base.workload.shape) {
      cases.append(base.but("\(shape.what)") { $0.workload.shape = shape })
    }
    if movesWeights { cases += lateCases(base) }
    return cases + (worksInPlace ? inPlaceCases(base) : [])
  }

  /// Several panels of every product.
  private static let largerShape = ModelShape(vocabularySize: 130, hiddenSize: 20, layers: 2)

  private func directionCases(_ base: EstimatorLawCase) -> [EstimatorLawCase] {
    let readouts: [ReadoutKind] = settings.contains(.readout) ? [.exact, .zo] : [.exact]
    return EstimatorMode.directions(perturbations).flatMap { perturbation, rank in
      readouts.map { readout in
        base.but("\(perturbation), rank \(rank), \(readout) readout") {
          $0.workload.shape = Self.largerShape
          ($0.configuration.perturbation, $0.configuration.rank) = (perturbation, rank)
          $0.configuration.readout = readout
        }
      }
    }
  }

  /// A late row's direction is apart in every kind.
  private func lateCases(_ base: EstimatorLawCase) -> [EstimatorLawCase] {
    EstimatorMode.directions(perturbations).map { perturbation, rank in
      base.but("gru, \(perturbation), rank \(rank)") {
        $0.workload.shape = Self.largerShape
        $0.workload.shape.cell = .gru
        ($0.configuration.perturbation, $0.configuration.rank) = (perturbation, rank)
        if settings.contains(.readout) { $0.configuration.readout = .zo }
      }
    }
  }

  /// The model with each of the other cells, over an embedding, and in blocks: those whose gradient the family estimates.
  func otherShapes(_ shape: ModelShape) -> [ModelShape] {
    func changed(_ cell: Cell, _ block: BlockKind, embedding: Int = 0) -> ModelShape {
      ModelShape(
        vocabularySize: shape.vocabularySize, hiddenSize: shape.hiddenSize, layers: shape.layers,
        heads: shape.heads, cell: cell, block: block, embeddingSize: embedding)
    }
    var machine = ModelShape(
      vocabularySize: shape.vocabularySize, hiddenSize: shape.hiddenSize, cell: .dnc, embeddingSize: 4)
    (machine.memorySlots, machine.readHeads) = (5, shape.hiddenSize % 2 == 0 ? 2 : 1)
    let cells = Cell.all.filter { !$0.isWholeModel }
    let shapes =
      cells.filter { $0 != .lstm }.map { changed($0, .plain) } + cells.map { changed($0, .residual) }
      + [
        changed(.lstm, .plain, embedding: 5), changed(.mingru, .residual, embedding: 5), machine,
      ]
    return shapes.filter { shape in
      var workload = EstimatorLawCase(self).workload
      workload.shape = shape
      return obstacle(EstimatorConfiguration(), workload) == nil
    }
  }

  private func exactCases(_ base: EstimatorLawCase) -> [EstimatorLawCase] {
    let long = base.but("long windows") { ($0.workload.window, $0.workload.context) = (50, nil) }
    return [
      base.but("many streams") {
        $0.workload.streams = 65
        $0.configuration.pairs = 65
      },
      base.but("clipped gradients") { $0.configuration.clipNorm = 0.01 }, long,
      long.but("segments") { $0.configuration.checkpointing = .every(16) },
      long.but("segments of a root") { $0.configuration.checkpointing = .sqrt },
      long.but("few saved states") {
        $0.configuration.checkpointing = .binomial
        $0.workload.checkpointingBytes = byteCount($0.configuration, $0.workload).total - 1
      },
    ]
  }

  private func inPlaceCases(_ base: EstimatorLawCase) -> [EstimatorLawCase] {
    let inPlace = base.but("in place") {
      $0.workload.inPlace = true
      $0.configuration.readout = .zo
    }
    return [
      inPlace,
      inPlace.but("in place, whole contexts") {
        ($0.workload.isWholeContext, $0.workload.context) = (true, 8)
      },
    ]
  }
}

extension EstimatorMode {
  /// A sum of products, too, that fills no register evenly.
  static func directions(_ perturbations: Set<Perturbation>) -> [(Perturbation, rank: Int)] {
    Perturbation.allCases.filter(perturbations.contains).flatMap { perturbation in
      (perturbation == .rank1 ? [1, 3] : [1]).map { (perturbation, $0) }
    }
  }
}
