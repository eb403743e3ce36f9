import Glibc

/// What the reference computes with: numbers, or numbers with their derivative by one parameter.
public protocol ReferenceNumber: Sendable {
  init(_ value: Double)
  var value: Double { get }
  /// f of it, for a function with this value and slope.
  func chained(_ value: Double, _ slope: Double) -> Self
  static func + (a: Self, b: Self) -> Self
  static func - (a: Self, b: Self) -> Self
  static func * (a: Self, b: Self) -> Self
  static func / (a: Self, b: Self) -> Self
}

extension Double: ReferenceNumber {
  public var value: Double { self }
  public func chained(_ value: Double, _ slope: Double) -> Double { value }
}

/// A number and its derivative.
public struct ReferenceDual: ReferenceNumber {
  public var value: Double
  public var derivative: Double

  public init(_ value: Double) { self.init(value, 0) }
  public init(_ value: Double, _ derivative: Double) { (self.value, self.derivative) = (value, derivative) }

  public func chained(_ value: Double, _ slope: Double) -> ReferenceDual {
    ReferenceDual(value, slope * derivative)
  }
  public static func + (a: Self, b: Self) -> Self { Self(a.value + b.value, a.derivative + b.derivative) }
  public static func - (a: Self, b: Self) -> Self { Self(a.value - b.value, a.derivative - b.derivative) }
  public static func * (a: Self, b: Self) -> Self {
    Self(a.value * b.value, a.derivative * b.value + a.value * b.derivative)
  }
  public static func / (a: Self, b: Self) -> Self {
    Self(a.value / b.value, (a.derivative - a.value / b.value * b.derivative) / b.value)
  }
}

extension ReferenceNumber {
  var logistic: Self {
    let s = 1 / (1 + Glibc.exp(-value))
    return chained(s, s * (1 - s))
  }
  var tanh: Self {
    let t = Glibc.tanh(value)
    return chained(t, 1 - t * t)
  }
  var exp: Self { chained(Glibc.exp(value), Glibc.exp(value)) }
  var log: Self { chained(Glibc.log(value), 1 / value) }
  /// The greater; of equals the second.
  func most(_ other: Self) -> Self { value > other.value ? self : other }
}

/// The cells as their papers define them, for one unit: its rows, what a late row has from below, and its states.
public enum ReferenceCell: String, CaseIterable, Sendable {
  case lstm, gru, slstm, elman, relu

  public var rows: Int {
    switch self {
    case .lstm, .slstm: 4
    case .gru: 3
    case .elman, .relu: 1
    }
  }

  public var states: Int {
    switch self {
    case .lstm: 2
    case .slstm: 4
    case .gru, .elman, .relu: 1
    }
  }

  public var hasLateRow: Bool { self == .gru }

  /// The states after the token; the first is h.
  func step<N: ReferenceNumber>(_ a: [N], aside: N, _ s: [N]) -> [N] {
    switch self {
    case .lstm:
      let c = a[1].logistic * s[1] + a[0].logistic * a[2].tanh
      return [a[3].logistic * c.tanh, c]
    case .gru:
      let (r, z) = (a[0].logistic, a[1].logistic)
      let n = (aside + r * a[2]).tanh
      return [(N(1) - z) * n + z * s[0]]
    case .slstm:
      // exp(i) and σ(f) with their common factor e^−m; h does not depend on m but where n is held at 1.
      let isFresh = s[2].value == 0
      let kept = a[1].logistic.log + s[3]
      let m = isFresh ? a[0] : kept.most(a[0])
      let (i, f) = ((a[0] - m).exp, isFresh ? N(0) : (kept - m).exp)
      let c = f * s[1] + i * a[2].tanh
      let n = (f * s[2] + i).most(N(1))
      return [a[3].logistic * c / n, c, n, m]
    case .elman: return [a[0].tanh]
    case .relu: return [a[0].most(N(0))]
    }
  }
}

/// A language model of any cell as its definition reads, with derivatives in forward mode. It shares no code with the library.
///
/// The parameters are one vector: table [V × GH], for each layer kernel [GH × inputs], bias [GH] and, where the cell has a late row, its
/// bias [H]; readout [V × H], readout bias [V].
public struct ReferenceModel: Sendable {
  public let cell: ReferenceCell
  public let vocabulary: Int
  public let hidden: Int
  public let layers: Int
  public let heads: Int

  public init(_ cell: ReferenceCell, vocabulary: Int, hidden: Int, layers: Int = 1, heads: Int = 1) {
    (self.cell, self.vocabulary, self.hidden, self.layers, self.heads) = (
      cell, vocabulary, hidden, layers, heads
    )
  }

  private var gates: Int { cell.rows * hidden }
  private var head: Int { hidden / heads }
  private func inputs(_ layer: Int) -> Int { (layer == 0 ? 0 : hidden) + head }
  private func kernel(_ layer: Int) -> Int {
    (0..<layer).reduce(vocabulary * gates) {
      $0 + gates * (inputs($1) + 1) + (cell.hasLateRow ? hidden : 0)
    }
  }
  public var parameterCount: Int { kernel(layers) + vocabulary * (hidden + 1) }

  /// [layers][states][H]
  public typealias State<N> = [[[N]]]

  public func zeroState<N: ReferenceNumber>(_: N.Type = N.self) -> State<N> {
    Array(
      repeating: Array(repeating: Array(repeating: N(0), count: hidden), count: cell.states), count: layers)
  }

  private func advance<N: ReferenceNumber>(_ theta: [N], _ token: Int, _ state: inout State<N>) {
    for layer in 0..<layers {
      let below = layer == 0 ? [] : state[layer - 1][0]
      let old = state[layer]
      let (first, width) = (kernel(layer), inputs(layer))
      let bias = first + gates * width
      for unit in 0..<hidden {
        var aside = N(0)
        let rows = (0..<cell.rows).map { g in
          let row = cell.rows * unit + g
          var sum = theta[bias + row]
          if layer == 0 { sum = sum + theta[token * gates + row] }
          for (k, x) in below.enumerated() { sum = sum + theta[first + row * width + k] * x }
          if cell.hasLateRow && g == cell.rows - 1 {
            aside = sum
            sum = theta[bias + gates + unit]
          }
          for k in 0..<head {
            sum = sum + theta[first + row * width + below.count + k] * old[0][unit / head * head + k]
          }
          return sum
        }
        let next = cell.step(rows, aside: aside, old.map { $0[unit] })
        for (part, value) in next.enumerated() { state[layer][part][unit] = value }
      }
    }
  }

  /// The sum of the losses of tokens[1...] in nats, and the state behind the last input.
  public func loss<N: ReferenceNumber>(_ theta: [N], _ tokens: [Int], _ state: inout State<N>) -> N {
    let readout = kernel(layers)
    var total = N(0)
    for (token, target) in zip(tokens, tokens.dropFirst()) {
      advance(theta, token, &state)
      let logits = (0..<vocabulary).map { v in
        (0..<hidden).reduce(theta[readout + vocabulary * hidden + v]) {
          $0 + theta[readout + v * hidden + $1] * state[layers - 1][0][$1]
        }
      }
      let top = N(logits.map(\.value).max()!)
      total = total + top + logits.reduce(N(0)) { $0 + ($1 - top).exp }.log - logits[target]
    }
    return total
  }

  /// ∂ of the sum of the losses by every parameter, one pass for each.
  public func gradient(_ theta: [Double], _ tokens: [Int]) -> [Double] {
    theta.indices.map { index in
      var duals = theta.map { ReferenceDual($0) }
      duals[index].derivative = 1
      var state = zeroState(ReferenceDual.self)
      return loss(duals, tokens, &state).derivative
    }
  }
}
