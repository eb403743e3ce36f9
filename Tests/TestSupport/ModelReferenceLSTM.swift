import Glibc

/// The LSTM language model of `ModelShape`, as its definition reads: in Double, one token at a time, with exact
/// back-propagation through time. It shares no code with the library.
///
/// The parameters are one vector: table [V × 4H], for each layer kernel [4H × inputs] and bias [4H], readout [V × H],
/// readout bias [V]. Gate row 4·u + g is gate g (i, f, g, o) of unit u.
public struct ReferenceLSTM: Sendable {
  public let vocabulary: Int
  public let hidden: Int
  public let layers: Int
  public let heads: Int

  public init(vocabulary: Int, hidden: Int, layers: Int = 1, heads: Int = 1) {
    self.heads = heads
    self.vocabulary = vocabulary
    self.hidden = hidden
    self.layers = layers
  }

  /// h and c of every layer.
  public struct State: Sendable {
    public var h: [[Double]]
    public var c: [[Double]]
  }

  public var zeroState: State {
    let zero = Array(repeating: Array(repeating: 0.0, count: hidden), count: layers)
    return State(h: zero, c: zero)
  }

  /// Columns of a layer's matrix: the state below, above the first layer, and the units of the row's own head.
  public func inputs(_ layer: Int) -> Int { (layer == 0 ? 0 : hidden) + hidden / heads }

  /// Which of (state below, own state) column k of gate row `row` multiplies.
  private func source(_ layer: Int, _ row: Int, _ k: Int) -> Int {
    let below = layer == 0 ? 0 : hidden
    let head = row / 4 / (hidden / heads)
    return k < below ? k : k + head * (hidden / heads)
  }
  public func kernel(_ layer: Int) -> Int {
    let first = vocabulary * 4 * hidden
    return (0..<layer).reduce(first) { $0 + 4 * hidden * (inputs($1) + 1) }
  }
  public func bias(_ layer: Int) -> Int { kernel(layer) + 4 * hidden * inputs(layer) }
  public var readout: Int { kernel(layers) }
  public var readoutBias: Int { readout + vocabulary * hidden }
  public var parameterCount: Int { readoutBias + vocabulary }

  /// The loss in nats of each of tokens[1...], and the state behind the last input.
  public func losses(_ theta: [Double], _ tokens: [Int], state: inout State) -> [Double] {
    (0..<max(0, tokens.count - 1)).map { step(theta, tokens[$0], tokens[$0 + 1], &state).loss }
  }

  /// The sum of the losses in `counted` (all if nil).
  public func loss(_ theta: [Double], _ tokens: [Int], from state: State, counted: Range<Int>? = nil)
    -> Double
  {
    var state = state
    let all = losses(theta, tokens, state: &state)
    return all[counted ?? 0..<all.count].reduce(0, +)
  }

  // MARK: One token

  private struct Trace {
    var token = 0
    var target = 0
    var inputs: [[Double]] = []  // by layer: (state below, own state before)
    var before: [[Double]] = []  // c before
    var gates: [[Double]] = []  // i, f, g, o after their functions
    var after: [[Double]] = []  // c
    var top: [Double] = []
    var probabilities: [Double] = []
    var loss = 0.0
  }

  private func step(_ theta: [Double], _ token: Int, _ target: Int, _ state: inout State) -> Trace {
    var trace = Trace(token: token, target: target)
    for layer in 0..<layers {
      let input = (layer == 0 ? [] : state.h[layer - 1]) + state.h[layer]
      var gates = Array(theta[bias(layer)..<bias(layer) + 4 * hidden])
      for row in 0..<4 * hidden {
        if layer == 0 { gates[row] += theta[token * 4 * hidden + row] }
        let from = kernel(layer) + row * inputs(layer)
        for k in 0..<inputs(layer) { gates[row] += theta[from + k] * input[source(layer, row, k)] }
        gates[row] = row % 4 == 2 ? tanh(gates[row]) : 1 / (1 + exp(-gates[row]))
      }
      trace.inputs.append(input)
      trace.before.append(state.c[layer])
      for u in 0..<hidden {
        state.c[layer][u] = gates[4 * u + 1] * state.c[layer][u] + gates[4 * u] * gates[4 * u + 2]
        state.h[layer][u] = gates[4 * u + 3] * tanh(state.c[layer][u])
      }
      trace.gates.append(gates)
      trace.after.append(state.c[layer])
    }
    trace.top = state.h[layers - 1]
    let logits = (0..<vocabulary).map { v in
      (0..<hidden).reduce(theta[readoutBias + v]) { $0 + theta[readout + v * hidden + $1] * trace.top[$1] }
    }
    let most = logits.max()!
    let normalizer = most + log(logits.reduce(0) { $0 + exp($1 - most) })
    trace.probabilities = logits.map { exp($0 - normalizer) }
    trace.loss = normalizer - logits[target]
    return trace
  }

  // MARK: Back-propagation through time

  /// The exact gradient of the sum of the losses in `counted` (all if nil); `state` is a constant.
  public func gradient(
    _ theta: [Double], _ tokens: [Int], from state: State, counted: Range<Int>? = nil
  ) -> [Double] {
    var state = state
    let traces = (0..<tokens.count - 1).map { step(theta, tokens[$0], tokens[$0 + 1], &state) }
    let counted = counted ?? 0..<traces.count
    var gradient = Array(repeating: 0.0, count: theta.count)
    var dh = zeroState.h
    var dc = zeroState.c
    for (t, trace) in traces.enumerated().reversed() {
      if counted.contains(t) { addReadout(theta, trace, &gradient, &dh[layers - 1]) }
      for layer in (0..<layers).reversed() {
        let below = addLayer(layer, theta, trace, &gradient, &dh[layer], &dc[layer])
        if layer > 0 { for k in 0..<hidden { dh[layer - 1][k] += below[k] } }
      }
    }
    return gradient
  }

  private func addReadout(_ theta: [Double], _ trace: Trace, _ gradient: inout [Double], _ dh: inout [Double])
  {
    for v in 0..<vocabulary {
      let delta = trace.probabilities[v] - (v == trace.target ? 1 : 0)
      gradient[readoutBias + v] += delta
      for k in 0..<hidden {
        gradient[readout + v * hidden + k] += delta * trace.top[k]
        dh[k] += delta * theta[readout + v * hidden + k]
      }
    }
  }

  /// Turns ∂h, ∂c of a layer into those of the token before; returns what goes to the layer below.
  private func addLayer(
    _ layer: Int, _ theta: [Double], _ trace: Trace, _ gradient: inout [Double], _ dh: inout [Double],
    _ dc: inout [Double]
  ) -> [Double] {
    let input = trace.inputs[layer]
    let gates = trace.gates[layer]
    var dx = Array(repeating: 0.0, count: input.count)
    for u in 0..<hidden {
      let (i, f, g, o) = (gates[4 * u], gates[4 * u + 1], gates[4 * u + 2], gates[4 * u + 3])
      let t = tanh(trace.after[layer][u])
      let cell = dc[u] + dh[u] * o * (1 - t * t)
      let d = [
        cell * g * i * (1 - i), cell * trace.before[layer][u] * f * (1 - f), cell * i * (1 - g * g),
        dh[u] * t * o * (1 - o),
      ]
      dc[u] = cell * f
      for (gate, value) in d.enumerated() {
        let row = 4 * u + gate
        gradient[bias(layer) + row] += value
        if layer == 0 { gradient[trace.token * 4 * hidden + row] += value }
        for k in 0..<inputs(layer) {
          let from = source(layer, row, k)
          gradient[kernel(layer) + row * inputs(layer) + k] += value * input[from]
          dx[from] += value * theta[kernel(layer) + row * inputs(layer) + k]
        }
      }
    }
    dh = Array(dx.suffix(hidden))
    return dx
  }
}
