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
  var squareRoot: Self { chained(value.squareRoot(), 0.5 / value.squareRoot()) }
  /// The greater; of equals the second.
  func most(_ other: Self) -> Self { value > other.value ? self : other }
}

/// The cells as their papers define them, for one unit: its rows, what a late row has from below, and its states.
public enum ReferenceCell: String, CaseIterable, Sendable {
  case lstm, gru, slstm, elman, relu, mingru, rglru, elstm

  public var rows: Int {
    switch self {
    case .lstm, .slstm: 4
    case .gru: 3
    case .mingru, .rglru, .elstm: 2
    case .elman, .relu: 1
    }
  }

  public var states: Int {
    switch self {
    case .lstm: 2
    case .slstm: 4
    case .gru, .elman, .relu, .mingru, .rglru, .elstm: 1
    }
  }

  public var hasLateRow: Bool { self == .gru }
  /// Whether rows read the own state of the head.
  public var readsOwnState: Bool { ![.mingru, .rglru, .elstm].contains(self) }
  /// Weights of a unit that belong to no row.
  var scalars: Int {
    switch self {
    case .gru, .rglru: 1
    case .elstm: 2
    case .lstm, .slstm, .elman, .relu, .mingru: 0
    }
  }
  /// Whether more than its rows reads the input.
  public var needsEmbedding: Bool { self == .rglru || self == .elstm }

  /// The states after the token; the first is h. After the rows come scalars; the aside is what a late row has from below, or the input.
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
    case .mingru:
      let z = a[0].logistic
      return [(N(1) - z) * s[0] + z * a[1]]
    case .rglru:
      let y = N(8) * a[0].logistic * a[2].logistic.log
      let admitted = N(1) - (y + y).exp
      return [y.exp * s[0] + admitted.squareRoot * a[1].logistic * aside]
    case .elstm:
      let z = (a[0] + a[2] * s[0]).tanh
      let f = (a[1] + a[3] * s[0]).logistic
      return [f * s[0] + (N(1) - f) * z]
    }
  }
}

/// A language model of any cell as its definition reads, with derivatives in forward mode. It shares no code with the library.
///
/// The parameters are one vector: table [V × GH], for each layer kernel [GH × inputs], bias [GH] and the cell's K
/// scalars [KH], elstm then a matrix [H × (inputs + H)] and bias of its output gate; readout [V × H], readout bias [V]. With an embedding of E the table is [V × E], followed by a bias [E]. In residual blocks a
/// matrix [H × E] and a bias lead from an embedding of another width to H, and each layer is followed by the gate's matrix [H × H] and bias
/// and the sum's.
public struct ReferenceModel: Sendable {
  public let cell: ReferenceCell
  public let vocabulary: Int
  public let hidden: Int
  public let layers: Int
  public let heads: Int
  public let isResidual: Bool
  /// 0: none.
  public let embedding: Int

  public init(
    _ cell: ReferenceCell, vocabulary: Int, hidden: Int, layers: Int = 1, heads: Int = 1,
    isResidual: Bool = false,
    embedding: Int = 0
  ) {
    (self.cell, self.vocabulary, self.hidden, self.layers, self.heads) = (
      cell, vocabulary, hidden, layers, heads
    )
    self.isResidual = isResidual
    self.embedding = embedding == 0 && (isResidual || cell.needsEmbedding) ? hidden : embedding
  }

  private var gates: Int { cell.rows * hidden }
  private var head: Int { hidden / heads }
  private var own: Int { cell.readsOwnState ? head : 0 }

  /// The parameters in their order, read one after the other.
  private struct Reader<N: ReferenceNumber> {
    let theta: [N]
    var at = 0

    mutating func take(_ count: Int) -> ArraySlice<N> {
      defer { at += count }
      return theta[at..<at + count]
    }
  }

  private static func product<N: ReferenceNumber>(_ row: ArraySlice<N>, _ x: [N]) -> N {
    zip(row, x).reduce(N(0)) { $0 + $1.0 * $1.1 }
  }

  /// W·x + b, of the next parameters.
  private func linear<N: ReferenceNumber>(_ reader: inout Reader<N>, _ x: [N], outputs: Int) -> [N] {
    let rows = (0..<outputs).map { _ in reader.take(x.count) }
    let bias = Array(reader.take(outputs))
    return (0..<outputs).map { Self.product(rows[$0], x) + bias[$0] }
  }

  public var parameterCount: Int {
    var reader = Reader(theta: [Double](repeating: 0, count: 1 << 16))
    var state = zeroState(Double.self)
    let h = advance(&reader, 0, &state)
    return reader.at + vocabulary * (h.count + 1)
  }

  /// [layers][states][H]
  public typealias State<N> = [[[N]]]

  public func zeroState<N: ReferenceNumber>(_: N.Type = N.self) -> State<N> {
    Array(
      repeating: Array(repeating: Array(repeating: N(0), count: hidden), count: cell.states), count: layers)
  }

  /// One layer's cell from its input, which the first without an embedding has not; `tokens` is what it has from the table instead.
  private func cells<N: ReferenceNumber>(
    _ reader: inout Reader<N>, below: [N], tokens: ArraySlice<N>?, _ state: inout [[N]]
  ) -> [N] {
    let kernel = (0..<gates).map { _ in reader.take(below.count + own) }
    let bias = Array(reader.take(gates))
    let scalars = Array(reader.take(cell.scalars * hidden))
    let old = state
    for unit in 0..<hidden {
      let first = unit / head * head
      let seen = own > 0 ? Array(old[0][first..<first + head]) : []
      var aside = N(0)
      let rows = (0..<cell.rows).map { g in
        let row = cell.rows * unit + g
        var sum = bias[row] + Self.product(kernel[row].prefix(below.count), below)
        if let tokens { sum = sum + tokens[tokens.startIndex + row] }
        if cell.hasLateRow && g == cell.rows - 1 {
          aside = sum
          sum = scalars[unit]
        }
        return sum + Self.product(kernel[row].suffix(own), seen)
      }
      if cell == .rglru { aside = below[unit] }
      let numbers = cell.hasLateRow ? [] : scalars[cell.scalars * unit..<cell.scalars * (unit + 1)]
      let next = cell.step(rows + numbers, aside: aside, old.map { $0[unit] })
      for (part, value) in next.enumerated() { state[part][unit] = value }
    }
    guard cell == .elstm else { return state[0] }
    return zip(linear(&reader, below + state[0], outputs: hidden), state[0]).map { $0.0.logistic * $0.1 }
  }

  private func normed<N: ReferenceNumber>(_ x: [N]) -> [N] {
    let root = (x.reduce(N(0)) { $0 + $1 * $1 } / N(Double(x.count)) + N(1e-6)).squareRoot
    return x.map { $0 / root }
  }

  /// What the readout reads.
  private func advance<N: ReferenceNumber>(_ reader: inout Reader<N>, _ token: Int, _ state: inout State<N>)
    -> [N]
  {
    let width = embedding > 0 ? embedding : gates
    let table = reader.take(vocabulary * width)
    let row = table[table.startIndex + token * width..<table.startIndex + (token + 1) * width]
    var x: [N] = []
    if embedding > 0 {
      x = zip(row, reader.take(width)).map { $0.0 + $0.1 }
      if embedding != hidden && (isResidual || cell == .rglru) { x = linear(&reader, x, outputs: hidden) }
    }
    for layer in 0..<layers {
      guard isResidual else {
        x = cells(&reader, below: x, tokens: embedding == 0 && layer == 0 ? row : nil, &state[layer])
        continue
      }
      let u = normed(x)
      let c = cells(&reader, below: u, tokens: nil, &state[layer])
      let gated = zip(c, linear(&reader, u, outputs: hidden)).map { $0.0 * $0.1 * $0.1.logistic }
      x = zip(x, linear(&reader, gated, outputs: hidden)).map { $0.0 + $0.1 }
    }
    return isResidual ? normed(x) : x
  }

  /// The sum of the losses of tokens[1...] in nats, and the state behind the last input.
  public func loss<N: ReferenceNumber>(_ theta: [N], _ tokens: [Int], _ state: inout State<N>) -> N {
    var total = N(0)
    for (token, target) in zip(tokens, tokens.dropFirst()) {
      var reader = Reader(theta: theta)
      let h = advance(&reader, token, &state)
      let logits = linear(&reader, h, outputs: vocabulary)
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
