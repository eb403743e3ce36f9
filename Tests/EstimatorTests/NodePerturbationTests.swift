import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

private typealias NodesUnderTest = UnderTest<NodePerturbation>

extension UnderTest where Estimator == NodePerturbation {
  fileprivate convenience init(
    _ shape: ModelShape, pairs: Int, streams: Int, epsilon: Float = 0x1p-7, creditDecay: Float = 1,
    exactReadout: Bool = true, window: Int = 8
  ) throws {
    let c = NodePerturbation.Configuration(
      pairs: pairs, epsilon: epsilon, creditDecay: creditDecay, exactReadout: exactReadout, window: window,
      streams: streams, chunk: 5, seed: 99)
    try self.init(shape, streams: streams) { try NodePerturbation(shape, c, pool: $0, ledger: $1) }
  }

  /// z_t of a pair, in the order of the model's biases: [L][4H].
  fileprivate func signs(pair: Int, token: Int) -> [[Double]] {
    let population = estimator.population
    let words = population.signs(tile: pair / 16, token: token)
    return (0..<shape.layers).map { layer in
      (0..<shape.heads).flatMap { head in
        let gates = population.layout.gates(ofHead: head, stage: 0)
        let first = population.layout.signs(.bias(layer)).rows + gates.packed
        return gates.rows.map { (row: Int) -> Double in
          words[first + row - gates.rows.lowerBound] >> UInt16(pair % 16) & 1 == 1 ? -1 : 1
        }
      }
    }
  }

  /// The signs of a column's logits: that of +ε, or that of −ε.
  fileprivate func signsOfLogits(pair: Int, token: Int, column: Int) -> [Double] {
    let population = estimator.population
    let words = population.signs(tile: pair / 16, token: token)
    let first = population.layout.signs(.readoutBias).rows + column * population.layout.paddedVocabulary
    return (0..<shape.vocabularySize).map { words[first + $0] >> UInt16(pair % 16) & 1 == 1 ? -1 : 1 }
  }

  fileprivate func tokens(_ start: Int, _ count: Int, pair: Int) -> [Int] {
    tokens(start, count, stream: estimator.population.stream(ofPair: pair))
  }
}

@Suite("Node perturbation")
struct NodePerturbationTests {
  static let shape = ModelShape(vocabularySize: 5, hiddenSize: 3)
  static let deep = ModelShape(vocabularySize: 13, hiddenSize: 6, layers: 2, heads: 2)
  /// Pairs that fill no tile, or two and a half; one stream for all, several, one each.
  static let crowds = [(5, 1), (40, 8), (20, 20)]

  /// The reference's weights with the gates of a token moved: a bias moves what it is added to.
  private func moved(_ under: NodesUnderTest, pair: Int, token: Int, sign: Double) -> [Double] {
    var theta = under.theta
    for (layer, signs) in under.signs(pair: pair, token: token).enumerated() {
      for (row, z) in signs.enumerated() {
        theta[under.shape.reference.bias(layer) + row] +=
          sign * Double(under.estimator.configuration.epsilon) * z
      }
    }
    return theta
  }

  /// The reference with its gates moved.
  private func run(
    _ under: NodesUnderTest, pair: Int, sign: Double, from state: ReferenceLSTM.State, start: Int, count: Int
  ) -> (losses: [Double], states: [ReferenceLSTM.State]) {
    let model = under.shape.reference
    let tokens = under.tokens(start, count, pair: pair)
    var (losses, states) = ([Double](), [state])
    for t in 0..<count {
      let theta = moved(under, pair: pair, token: t, sign: sign)
      var next = states[t]
      losses += model.losses(theta, [tokens[t], tokens[t + 1]], state: &next)
      states.append(next)
    }
    return (losses, states)
  }

  /// [l(x + εz) − l(x − εz)]/2ε · z for the logits x of a column at a token, whose state was `state` before it.
  private func slopes(
    _ under: NodesUnderTest, pair: Int, column: Int, token: Int, from state: ReferenceLSTM.State,
    _ tokens: [Int]
  ) -> [Double] {
    let (model, epsilon) = (under.shape.reference, Double(under.estimator.configuration.epsilon))
    let z = under.signsOfLogits(pair: pair, token: token, column: column)
    let losses = [1.0, -1].map { side in
      var theta = moved(under, pair: pair, token: token, sign: column == 0 ? 1 : -1)
      for v in z.indices { theta[model.readoutBias + v] += side * epsilon * z[v] }
      var next = state
      return model.losses(theta, tokens, state: &next)[0]
    }
    return z.map { $0 * (losses[0] - losses[1]) / (2 * epsilon) }
  }

  /// Σ_t d_t·(h_(t−1))ᵀ and its like over all pairs, as the definition reads; of the readout where its logits are moved.
  private func estimate(
    _ under: NodesUnderTest, from states: [ReferenceLSTM.State], start: Int, count: Int
  ) -> [Double] {
    let (shape, model, c) = (under.shape, under.shape.reference, under.estimator.configuration)
    var gradient = [Double](repeating: 0, count: shape.parameterCount)
    for pair in 0..<c.pairs {
      let plus = run(under, pair: pair, sign: 1, from: states[pair], start: start, count: count)
      let minus = run(under, pair: pair, sign: -1, from: states[pair], start: start, count: count)
      func mean(_ layer: Int, _ t: Int, _ u: Int) -> Double {
        0.5 * (plus.states[t].h[layer][u] + minus.states[t].h[layer][u])
      }
      let tokens = under.tokens(start, count, pair: pair)
      for t in 0..<count {
        let credit = (t..<count).reduce(0.0) { sum, s in
          sum + (t..<s).reduce(1.0) { decay, _ in decay * Double(c.creditDecay) }
            * (plus.losses[s] - minus.losses[s])
        }
        let scale = credit / (2 * Double(c.epsilon) * Double(c.pairs * count))
        for (layer, signs) in under.signs(pair: pair, token: t).enumerated() {
          for (row, z) in signs.enumerated() {
            let d = scale * z
            gradient[model.bias(layer) + row] += d
            if layer == 0 { gradient[tokens[t] * 4 * shape.hiddenSize + row] += d }
            let at = model.kernel(layer) + row * model.inputs(layer)
            let below = layer == 0 ? 0 : shape.hiddenSize
            for k in 0..<below { gradient[at + k] += d * mean(layer - 1, t + 1, k) }
            let own = row / (4 * shape.headSize) * shape.headSize
            for k in 0..<shape.headSize { gradient[at + below + k] += d * mean(layer, t, own + k) }
          }
        }
        guard !c.exactReadout else { continue }
        for (column, side) in [plus, minus].enumerated() {
          let both = [tokens[t], tokens[t + 1]]
          let slopes = slopes(under, pair: pair, column: column, token: t, from: side.states[t], both)
          for (v, slope) in slopes.enumerated() {
            let d = 0.5 * slope / Double(c.pairs * count)
            gradient[model.readoutBias + v] += d
            for k in 0..<shape.hiddenSize {
              gradient[model.readout + v * shape.hiddenSize + k] += d * mean(shape.layers - 1, t + 1, k)
            }
          }
        }
      }
    }
    return gradient
  }

  @Test(
    "The estimate is what its definition says of the reference, window after window",
    arguments: [shape, deep], crowds)
  func definition(_ shape: ModelShape, _ crowd: (pairs: Int, streams: Int)) throws {
    for exactReadout in [true, false] { try define(shape, crowd, exactReadout) }
  }

  private func define(_ shape: ModelShape, _ crowd: (pairs: Int, streams: Int), _ exactReadout: Bool) throws {
    let under = try NodesUnderTest(
      shape, pairs: crowd.pairs, streams: crowd.streams, epsilon: 0.05, creditDecay: 0.75,
      exactReadout: exactReadout)
    let estimated = exactReadout ? shape.slice(.readout).offset : shape.parameterCount
    // Clean states are means of ± states and so not exactly those of the model: only the first window's are.
    let zero = [ReferenceLSTM.State](repeating: shape.reference.zeroState, count: crowd.pairs)
    for window in 0..<2 {
      under.estimator.beginContext()
      let result = under.window(window, from: 8 * window, chunks: [3, 5])
      let expected = estimate(under, from: zero, start: 8 * window, count: 8)
      let size = expected.reduce(0) { $0 + abs($1) }
      for i in 0..<estimated where abs(under.gradient[i] - expected[i]) > 0x1p-16 * size {
        Issue.record("window \(window), parameter \(i): \(under.gradient[i]), \(expected[i])")
      }
      let losses = (0..<crowd.pairs).flatMap { pair in
        [1.0, -1].flatMap {
          run(under, pair: pair, sign: $0, from: zero[pair], start: 8 * window, count: 8).losses
        }
      }
      #expect(abs(result.loss - losses.reduce(0, +) / Double(losses.count)) < 1e-5)
      #expect(result.targets == 8 * crowd.streams)
    }
  }

  @Test("States go on from window to window, both columns of a pair from the mean of their stream")
  func statesAreCarried() throws {
    let under = try NodesUnderTest(Self.shape, pairs: 16, streams: 16, epsilon: 0x1p-10)
    let model = Self.shape.reference
    for window in 0..<3 { under.window(window, from: 8 * window, chunks: [5, 3]) }
    for pair in 0..<16 {
      var state = model.zeroState
      _ = model.losses(under.theta, under.tokens(0, 24, pair: pair), state: &state)
      for u in 0..<3 {
        let row = u * 32 + pair
        let mean =
          0.5 * (under.estimator.population.states[row] + under.estimator.population.states[row + 16])
        #expect(abs(Double(mean) - state.h[0][u]) < 1e-5, "pair \(pair), unit \(u)")
      }
    }
  }

  /// 400 estimates of 256 pairs each. With a decay of 0 a loss belongs to the gates of its own token, and the gradient is the sum of
  /// those over windows of a single token; without decay it is that of the window (`EstimatorLawTests`).
  @Test("With a decay of 0 the mean is the exact gradient of each token by itself", arguments: [true, false])
  func decayed(_ exactReadout: Bool) throws {
    let under = try NodesUnderTest(
      Self.shape, pairs: 256, streams: 1, creditDecay: 0, exactReadout: exactReadout)
    under.streams[0] = [0, 1, 2, 3, 4, 2, 0, 3, 1, 1]
    let model = Self.shape.reference
    let tokens = under.tokens(0, 8)
    let whole = model.gradient(under.theta, tokens, from: model.zeroState).map { $0 / 8 }
    var state = model.zeroState
    var single = [Double](repeating: 0, count: whole.count)
    for t in 0..<8 {
      let part = model.gradient(under.theta, [tokens[t], tokens[t + 1]], from: state)
      for i in part.indices { single[i] += part[i] / 8 }
      _ = model.losses(under.theta, [tokens[t], tokens[t + 1]], state: &state)
    }
    var average = EstimatorAverage()
    let searched = exactReadout ? Self.shape.slice(.readout).offset : Self.shape.parameterCount
    for number in 0..<400 {
      under.estimator.beginContext()
      under.window(number, from: 0, chunks: [5, 3])
      average.add(Array(under.gradient[..<searched]))
    }
    func scores(_ expected: [Double]) -> [Double] {
      average.scores(against: Array(expected[..<searched])).filter { $0 != 0 }
    }
    let right = scores(single)
    let meanSquare = dot(right, right) / Double(right.count)
    #expect(right.allSatisfy { abs($0) < 5 } && meanSquare > 0.5 && meanSquare < 1.6, "\(meanSquare)")
    #expect(scores(whole).map { abs($0) }.max()! > 8)
    // The exact readout's gradient is that of the moved models.
    let norm = dot(whole, whole).squareRoot()
    for i in searched..<whole.count { #expect(abs(under.gradient[i] - whole[i]) < 2e-3 * norm) }
  }

  @Test("Marked targets give no credit, and a window without targets no gradient")
  func marks() throws {
    let under = try NodesUnderTest(Self.shape, pairs: 20, streams: 2)
    for stream in 0..<2 { for i in 4...8 { under.streams[stream][i] |= TokenMark.mark } }
    let result = under.window(0, from: 0, chunks: [5, 3])
    #expect(result.targets == 6)
    // Nothing behind the third token is to be predicted: what is read later gets nothing.
    let early = Set(
      (0..<2).flatMap { stream in (0..<3).map { Int(under.streams[stream][$0] & TokenMark.id) } })
    for token in 0..<5 {
      let row = under.gradient[token * 12..<(token + 1) * 12]
      #expect(row.allSatisfy { $0 == 0 } == !early.contains(token), "token \(token)")
    }
    for stream in 0..<2 { for i in 0..<64 { under.streams[stream][i] |= TokenMark.mark } }
    #expect(under.window(1, from: 9, chunks: [5, 3]).targets == 0)
  }

  @Test("Pairs with an infinite loss are counted, and start again from zero")
  func brokenPairs() throws {
    let under = try NodesUnderTest(Self.shape, pairs: 20, streams: 2)
    for row in 0..<6 { under.estimator.population.states[row * 32 + 3] = .nan }
    let result = under.window(0, chunks: [5, 3])
    #expect(result.brokenPairs == 10 && result.refusal != nil, "a stream's clean state is its pairs' mean")
    #expect(under.window(1, chunks: [5, 3]).brokenPairs == 0)
  }
}
