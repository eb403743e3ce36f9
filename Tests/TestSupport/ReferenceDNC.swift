import Glibc

/// The differentiable neural computer with a write and R reads by content, as its equations read, with derivatives in forward mode. It
/// shares no code with the library.
///
/// The parameters are one vector: embedding [V × E] and its bias [E]; gain and bias by turns of the input's norm [2(E + RD)]; the
/// LSTM's matrix [4H × (E + RD + H)] and bias [4H], row 4·u + g being gate i f g o of unit u; the output's norm [2H]; the interface's matrix
/// [(R + 3)D + 1 × H] and bias; the gains and biases of the norms of memory, read keys and write key, [D × 6]; the norm before the readout
/// [2(H + RD)]; readout [V × (H + RD)] and its bias [V].
public struct ReferenceDNC: Sendable {
  public let vocabulary: Int
  public let embedding: Int
  public let hidden: Int
  public let slots: Int
  public let heads: Int
  /// Whether the memory starts at zero.
  public let startsAtZero: Bool

  public init(
    vocabulary: Int, embedding: Int, hidden: Int, slots: Int, heads: Int, startsAtZero: Bool = false
  ) {
    (self.vocabulary, self.embedding, self.hidden) = (vocabulary, embedding, hidden)
    (self.slots, self.heads, self.startsAtZero) = (slots, heads, startsAtZero)
  }

  /// D, the width of a slot.
  private var width: Int { hidden / heads }

  /// What goes from a token to the next.
  public struct State<N: ReferenceNumber>: Sendable {
    public var h: [N]
    public var c: [N]
    public var reads: [N]
    /// [slots][D]
    public var memory: [[N]]
  }

  public func freshState<N: ReferenceNumber>(_: N.Type = N.self) -> State<N> {
    func zeros(_ count: Int) -> [N] { Array(repeating: N(0), count: count) }
    let memory = (0..<slots).map { slot in
      (0..<width).map { N(startsAtZero ? 0 : Self.start(UInt32(slot * width + $0))) }
    }
    return State(h: zeros(hidden), c: zeros(hidden), reads: zeros(heads * width), memory: memory)
  }

  /// A number in ±0.1 for each element of the memory: its index through the last steps of MurmurHash3.
  private static func start(_ index: UInt32) -> Double {
    var x = index
    x = (x ^ x >> 16) &* 0x85eb_ca6b
    x = (x ^ x >> 13) &* 0xc2b2_ae35
    x ^= x >> 16
    return Double(Float(Double(x >> 8) * 0x1p-23 - 1) * 0.1)
  }

  /// The parameters in their order, read one after the other.
  private struct Reader<N: ReferenceNumber> {
    let theta: [N]
    var at = 0

    mutating func take(_ count: Int) -> ArraySlice<N> {
      defer { at += count }
      return theta[at..<at + count]
    }

    /// W·x + b
    mutating func linear(_ x: [N], outputs: Int) -> [N] {
      let rows = (0..<outputs).map { _ in take(x.count) }
      let bias = Array(take(outputs))
      return (0..<outputs).map { zip(rows[$0], x).reduce(bias[$0]) { $0 + $1.0 * $1.1 } }
    }

    /// Layer norm with the next gains and biases.
    mutating func norm(_ x: [N]) -> [N] {
      let scalars = Array(take(2 * x.count))
      return ReferenceDNC.norm(
        x, gain: x.indices.map { scalars[2 * $0] }, bias: x.indices.map { scalars[2 * $0 + 1] })
    }
  }

  private static func norm<N: ReferenceNumber>(_ x: [N], gain: [N], bias: [N]) -> [N] {
    let count = N(Double(x.count))
    let mean = x.reduce(N(0)) { $0 + $1 } / count
    let variance = x.reduce(N(0)) { $0 + ($1 - mean) * ($1 - mean) } / count + N(1e-5)
    let deviation = variance.chained(variance.value.squareRoot(), 0.5 / variance.value.squareRoot())
    return x.indices.map { (x[$0] - mean) / deviation * gain[$0] + bias[$0] }
  }

  private static func softmax<N: ReferenceNumber>(_ x: [N]) -> [N] {
    let top = N(x.map(\.value).max()!)
    let powers = x.map { ($0 - top).exp }
    let sum = powers.reduce(N(0)) { $0 + $1 }
    return powers.map { $0 / sum }
  }

  public var parameterCount: Int {
    var reader = Reader(theta: [Double](repeating: 0, count: 1 << 16))
    var state = freshState(Double.self)
    let x = advance(&reader, 0, &state)
    return reader.at + vocabulary * (x.count + 1)
  }

  private func lstm<N: ReferenceNumber>(_ reader: inout Reader<N>, _ u: [N], _ state: inout State<N>) {
    let rows = reader.linear(u + state.h, outputs: 4 * hidden)
    for unit in 0..<hidden {
      let a = Array(rows[4 * unit..<4 * unit + 4])
      state.c[unit] = a[1].logistic * state.c[unit] + a[0].logistic * a[2].tanh
      state.h[unit] = a[3].logistic * state.c[unit].tanh
    }
  }

  /// Write, then read.
  private func access<N: ReferenceNumber>(
    _ reader: inout Reader<N>, _ interface: [N], _ state: inout State<N>
  ) {
    let scalars = Array(reader.take(6 * width))
    func normed(_ x: [N], _ first: Int) -> [N] {
      Self.norm(
        x, gain: (0..<width).map { scalars[6 * $0 + first] },
        bias: (0..<width).map { scalars[6 * $0 + first + 1] })
    }
    func part(_ number: Int) -> [N] { Array(interface[number * width..<(number + 1) * width]) }
    /// softmax over slots of LN(M)·key
    func address(_ key: [N]) -> [N] {
      Self.softmax(state.memory.map { zip(normed($0, 0), key).reduce(N(0)) { $0 + $1.0 * $1.1 } })
    }
    let (erase, add) = (part(heads + 1).map(\.logistic), part(heads + 2).map(\.tanh))
    let strength = interface[(heads + 3) * width].logistic
    let weights = address(normed(part(heads), 4)).map { strength * $0 }
    for slot in 0..<slots {
      for d in 0..<width {
        let m = state.memory[slot][d]
        state.memory[slot][d] = m * (N(1) - weights[slot] * erase[d]) + weights[slot] * add[d]
      }
    }
    for head in 0..<heads {
      let weights = address(normed(part(head), 2))
      for d in 0..<width {
        state.reads[head * width + d] = (0..<slots).reduce(N(0)) { $0 + weights[$1] * state.memory[$1][d] }
      }
    }
  }

  /// What the readout reads.
  private func advance<N: ReferenceNumber>(_ reader: inout Reader<N>, _ token: Int, _ state: inout State<N>)
    -> [N]
  {
    let table = reader.take(vocabulary * embedding)
    let first = table.startIndex + token * embedding
    let x = zip(table[first..<first + embedding], reader.take(embedding)).map { $0.0 + $0.1 }
    let u = reader.norm(x + state.reads)
    lstm(&reader, u, &state)
    let o = reader.norm(state.h)
    let interface = reader.linear(o, outputs: (heads + 3) * width + 1)
    access(&reader, interface, &state)
    return reader.norm(o + state.reads)
  }

  /// The sum of the losses of tokens[1...] in nats, and the state behind the last input.
  public func loss<N: ReferenceNumber>(_ theta: [N], _ tokens: [Int], _ state: inout State<N>) -> N {
    var total = N(0)
    for (token, target) in zip(tokens, tokens.dropFirst()) {
      var reader = Reader(theta: theta)
      let x = advance(&reader, token, &state)
      let logits = reader.linear(x, outputs: vocabulary)
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
      var state = freshState(ReferenceDual.self)
      return loss(duals, tokens, &state).derivative
    }
  }
}
