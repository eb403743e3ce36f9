import CLongzooKernels
import LongzooMemory
import LongzooTestSupport
import Testing

@testable import LongzooModel

/// For long values: a failing #expect would print all of them.
func expectSame<T: Equatable>(
  _ a: T, _ b: T, _ comment: @autoclosure () -> String = "they differ",
  at location: SourceLocation = #_sourceLocation
) {
  if a != b { Issue.record(Comment(rawValue: comment()), sourceLocation: location) }
}

extension Instructions {
  /// Every fast kernel that this processor runs.
  static var fast: [Instructions] { allCases.filter { $0 != .reference && $0.isSupported } }
}

extension ModelShape {
  var reference: ReferenceLSTM {
    ReferenceLSTM(vocabulary: vocabularySize, hidden: hiddenSize, layers: layers, heads: heads)
  }
}

extension Buffer {
  /// A copy. `elements` itself must not be the last use of what owns a buffer: it does not keep it alive.
  var array: [Element] { Array(elements) }
}

extension DirectionKind {
  /// Every kind, and sums of products that fill no register evenly.
  static let allCases: [DirectionKind] = [.rank1, .products(3), .rademacher, .gaussian]
}

extension Layout {
  var signMap: ModelSignMap {
    ModelSignMap(
      model: shape.reference, isDense: kind == .rademacher, rank: kind.rank, exactReadout: exactReadout,
      gateStride: gateStride,
      table: signs(.table), kernels: (0..<shape.layers).map { signs(.kernel($0)) },
      biases: (0..<shape.layers).map { signs(.bias($0)).rows }, readout: signs(.readout),
      readoutBias: signs(.readoutBias).rows, name: kind == .gaussian ? nameWords : nil)
  }
}

/// A random model; weights are uniform in ±scale.
struct RandomModel {
  let parameters: Parameters
  let weights: PackedWeights
  let pool: ThreadPool
  let ledger = MemoryLedger()

  init(_ layout: Layout, scale: Double? = nil, seed: UInt64) throws {
    pool = try ThreadPool(threads: 1)
    var random = ModelRandom(seed)
    parameters = try Parameters(layout.shape, ledger: ledger)
    let scale = scale ?? 2 / Double(layout.shape.hiddenSize).squareRoot()
    for i in 0..<parameters.values.count { parameters.values[i] = Float(scale * random.unit()) }
    weights = try PackedWeights(layout, ledger: ledger)
    weights.pack(parameters, on: pool)
  }
}

/// What a population computes, ready to be compared bit by bit.
struct PairBits: Equatable {
  var plus: UInt64
  var minus: UInt64
  var states: [UInt32]
}

/// A population with random states, signs and tokens; every pair reads a stream of its own.
final class PopulationUnderTest {
  static let tokenStride = 64
  let layout: Layout
  let population: Population
  var tokens: [UInt32]
  var epsilon: Float = 0.1
  private let deltaRows: Buffer<Float>
  private let inputRows: Buffer<Float>
  var delta: [Float] { deltaRows.array }
  var input: [Float] { inputRows.array }

  init(_ layout: Layout, pairs: Int, threads: Int = 1, instructions: Instructions, seed: UInt64) throws {
    self.layout = layout
    population = try Population(
      layout, pairs: pairs, streams: pairs, threads: threads, instructions: instructions,
      ledger: MemoryLedger())
    tokens = []
    let tiles = layout.exactReadout ? Self.tokenStride * population.tiles : 0
    deltaRows = try Buffer(
      count: tiles * layout.deltaTile, .activations, for: "p − y", ledger: MemoryLedger())
    inputRows = try Buffer(count: tiles * layout.inputTile, .activations, for: "h", ledger: MemoryLedger())
    deltaRows.elements.update(repeating: .nan)
    inputRows.elements.update(repeating: .nan)
    fill(seed: seed)
  }

  /// New random states, signs and tokens.
  func fill(seed: UInt64) {
    var random = ModelRandom(seed)
    tokens = random.tokens(population.pairs * Self.tokenStride, vocabulary: layout.shape.vocabularySize)
    for i in 0..<population.states.count { population.states[i] = Float(random.unit()) }
    for i in 0..<population.signs.count {
      population.signs[i] = UInt16(truncatingIfNeeded: random.word() >> 20)
    }
  }

  /// Reads the tokens from `start` in chunks of these lengths.
  func run(
    _ weights: PackedWeights, start: Int = 0, chunks: [Int], on pool: ThreadPool? = nil,
    mode: PopulationMode = .central, withReadout: Bool = true
  ) {
    var first = start
    for count in chunks {
      let before = (first - start) * population.tiles
      tokens.withUnsafeBufferPointer { tokens in
        let rows =
          layout.exactReadout
          ? ReadoutRows(
            delta: deltaRows.pointer + before * layout.deltaTile,
            input: inputRows.pointer + before * layout.inputTile)
          : nil
        let block = TokenBlock(
          unchecked: tokens.baseAddress! + first, streams: population.streams, stride: Self.tokenStride,
          count: count, vocabularySize: layout.shape.vocabularySize)
        let tile = { (tile: Int, thread: Int, piece: Range<Int>) in
          self.population.run(
            tile: tile, thread: thread, weights: weights, epsilon: self.epsilon,
            tokens: block[piece], readout: rows?.from(token: piece.lowerBound, of: self.population),
            mode: mode,
            withReadout: withReadout)
        }
        if let pool {
          population.runTiles(count, on: pool, tile)
        } else {
          for number in 0..<population.tiles { tile(number, 0, 0..<count) }
        }
      }
      first += count
    }
  }

  // MARK: One pair

  /// Index of a state's value: h (part 0) or c (part 1) of a unit, under +ε (sign 0) or −ε (sign 1).
  func stateIndex(pair: Int, layer: Int, part: Int, unit: Int, sign: Int) -> Int {
    let stage = layout.stage(layer).pointee
    let row = stage.state + part * stage.padded + unit
    return pair / 16 * layout.stateFloats + row * 32 + 16 * sign + pair % 16
  }

  /// All states of a pair that mean something: padding units are left out.
  func stateIndices(pair: Int) -> [Int] {
    var indices: [Int] = []
    for layer in 0..<layout.shape.stageCount {
      for part in 0..<layout.shape.stage(layer).parts {
        for unit in 0..<layout.shape.stage(layer).units(ofPart: part) {
          for sign in 0..<2 {
            indices.append(stateIndex(pair: pair, layer: layer, part: part, unit: unit, sign: sign))
          }
        }
      }
    }
    return indices
  }

  func bits(ofPair pair: Int) -> PairBits {
    let (plus, minus) = population.loss(ofPair: pair)
    return PairBits(
      plus: plus.bitPattern, minus: minus.bitPattern,
      states: stateIndices(pair: pair).map { population.states[$0].bitPattern })
  }

  var allBits: [PairBits] { (0..<population.pairs).map(bits) }

  func direction(ofPair pair: Int) -> [Double] {
    layout.signMap.direction(bit: pair % 16, of: population.signs.pointer + pair / 16 * layout.signsPerTile)
  }

  /// Gives `pair` the states, direction and tokens of a pair of another population of the same layout.
  func adopt(_ pair: Int, from other: PopulationUnderTest, _ source: Int) {
    let mine = population.signs.pointer + pair / 16 * layout.signsPerTile
    let theirs = other.population.signs.pointer + source / 16 * layout.signsPerTile
    for word in 0..<layout.signsPerTile {
      let bit = theirs[word] >> UInt16(source % 16) & 1
      mine[word] = mine[word] & ~(1 << UInt16(pair % 16)) | bit << UInt16(pair % 16)
    }
    for row in 0..<layout.c.pointee.state / 16 {
      population.states[pair / 16 * layout.c.pointee.state + row * 16 + pair % 16] =
        other.population.states[source / 16 * layout.c.pointee.state + row * 16 + source % 16]
    }
    for t in 0..<Self.tokenStride {
      tokens[pair * Self.tokenStride + t] = other.tokens[source * Self.tokenStride + t]
    }
  }
}

extension SequenceModel {
  /// Reads tokens[0..<n−1] and predicts tokens[1..<n], whose ids the test knows to be good.
  func run(
    _ tokens: UnsafeBufferPointer<UInt32>, losses: UnsafeMutablePointer<Float>? = nil,
    hits: UnsafeMutablePointer<UInt8>? = nil
  ) -> Double {
    run(
      TokenBlock(
        unchecked: tokens.baseAddress!, streams: 1, stride: tokens.count, count: tokens.count - 1,
        vocabularySize: shape.vocabularySize),
      losses: losses, hits: hits)
  }
}
