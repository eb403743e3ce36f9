import LongzooMemory
import LongzooModel

/// A running mean of a noisy gradient, shrunk to what two independent halves of it agree on.
///
/// An estimate from n random directions carries √(d/n) times its own length of noise, but what it estimates changes slowly:
/// its mean m over about 1/(1 − β) windows has far less. How much of m is signal is measured: m is (a + b)/2 with a and b from
/// different pairs, whose noises are independent, so that ⟨a, b⟩ estimates |signal|² without bias. Each tensor is scaled by
/// λ = ⟨a, b⟩/|m|², the factor with the least expected squared error, kept within 0 and 1. Where nothing is to be learned
/// beyond the window, λ is about 0 and nothing is lost.
final class LongRangeMean {
  private let beta: Float
  private let pieces: [Piece]
  private let first: Buffer<Float>
  private let second: Buffer<Float>
  /// The sum of the weights of the windows that are in the means: they began at 0.
  private let weight: Buffer<Float>
  /// ⟨a, b⟩ and |a + b|² of every piece.
  private let sums: Buffer<Double>
  private let factors: Buffer<Float>

  /// Elements of a tensor that one task takes; fixed, so that sums do not depend on the threads.
  private struct Piece {
    var tensor: Int
    var range: Range<Int>
  }

  private static let pieceSize = 16384

  private static func tensors(_ shape: ModelShape) -> [TensorSlice] {
    shape.tensors.filter { !$0.tensor.isReadout }
  }

  private static func pieces(_ shape: ModelShape) -> [Piece] {
    tensors(shape).enumerated().flatMap { index, slice in
      stride(from: slice.range.lowerBound, to: slice.range.upperBound, by: pieceSize).map {
        Piece(tensor: index, range: $0..<min(slice.range.upperBound, $0 + pieceSize))
      }
    }
  }

  static func byteCount(for shape: ModelShape) -> Int { Rooms(shape).table.total }

  private struct Rooms {
    let first: Room<Float>
    let second: Room<Float>
    let weight: Room<Float>
    let sums: Room<Double>
    let factors: Room<Float>
    let table: MemoryTable

    init(_ shape: ModelShape) {
      let count = shape.slice(.readout).offset
      let purpose = "the running mean of the gradient beyond the window"
      var table = MemoryTable()
      first = table.add(count, .perturbations, for: purpose)
      second = table.add(count, .perturbations, for: purpose)
      weight = table.add(1, .perturbations, for: purpose)
      sums = table.add(2 * pieces(shape).count, .perturbations, for: purpose)
      factors = table.add(tensors(shape).count, .perturbations, for: purpose)
      self.table = table
    }
  }

  init(_ shape: ModelShape, momentum: Float, ledger: MemoryLedger) throws(MemoryError) {
    precondition(momentum >= 0 && momentum < 1, "a momentum of \(momentum)")
    beta = momentum
    pieces = Self.pieces(shape)
    let rooms = Rooms(shape)
    first = try rooms.first.buffer(ledger)
    second = try rooms.second.buffer(ledger)
    weight = try rooms.weight.buffer(ledger)
    sums = try rooms.sums.buffer(ledger)
    factors = try rooms.factors.buffer(ledger)
  }

  /// Takes a window's estimate from the pairs of one half.
  func add(_ estimate: UnsafePointer<Float>, half: Int, on pool: ThreadPool) {
    let mean = half == 0 ? first.pointer : second.pointer
    pool.run(pieces.count) { index, _ in
      for i in pieces[index].range { mean[i] += (1 - beta) * (estimate[i] - mean[i]) }
    }
    if half == 1 { weight[0] += (1 - beta) * (1 - weight[0]) }
  }

  /// Adds λ·m to a gradient. Both halves must have been given.
  func add(to gradient: UnsafeMutablePointer<Float>, on pool: ThreadPool) {
    pool.run(pieces.count) { index, _ in compare(index) }
    updateFactors()
    let scale = 0.5 / weight[0]
    let (a, b) = (first.pointer, second.pointer)
    pool.run(pieces.count) { index, _ in
      let factor = scale * factors[pieces[index].tensor]
      for i in pieces[index].range { gradient[i] += factor * (a[i] + b[i]) }
    }
  }

  /// The share of each tensor's mean that its halves agree on, in the order of the tensors.
  var agreement: [Float] { Array(factors.elements) }

  private func compare(_ piece: Int) {
    let (a, b) = (first.pointer, second.pointer)
    var product = SIMD8<Float>.zero
    var square = SIMD8<Float>.zero
    let range = pieces[piece].range
    var i = range.lowerBound
    while i + 8 <= range.upperBound {
      let x = UnsafeRawPointer(a + i).loadUnaligned(as: SIMD8<Float>.self)
      let y = UnsafeRawPointer(b + i).loadUnaligned(as: SIMD8<Float>.self)
      product += x * y
      square += (x + y) * (x + y)
      i += 8
    }
    var sums = (product: Double(product.sum()), square: Double(square.sum()))
    for i in i..<range.upperBound {
      sums.product += Double(a[i] * b[i])
      sums.square += Double((a[i] + b[i]) * (a[i] + b[i]))
    }
    self.sums[2 * piece] = sums.product
    self.sums[2 * piece + 1] = sums.square
  }

  private func updateFactors() {
    var piece = 0
    for tensor in 0..<factors.count {
      var (product, square) = (0.0, 0.0)
      while piece < pieces.count, pieces[piece].tensor == tensor {
        product += sums[2 * piece]
        square += sums[2 * piece + 1]
        piece += 1
      }
      factors[tensor] = square > 0 ? Float(min(1, max(0, 4 * product / square))) : 0
    }
  }

  /// The floats of `carried`.
  static func carriedFloats(_ shape: ModelShape) -> Int {
    let rooms = Rooms(shape)
    return rooms.first.count + rooms.second.count + rooms.weight.count
  }

  var carried: [CarriedState] {
    [
      CarriedState("beyond.first", floats: first, of: self),
      CarriedState("beyond.second", floats: second, of: self),
      CarriedState("beyond.weight", floats: weight, of: self),
    ]
  }
}
