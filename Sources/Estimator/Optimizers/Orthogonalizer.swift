import LongzooMemory
import LongzooModel

/// The matrices of a stage's gates, [D × inputs] of every head and gate. Gate rows lie unit by unit, so a matrix has every G-th row of
/// its head's.
struct GateMatrices {
  /// Parameters before the stage's.
  let start: Int
  /// G a head.
  let count: Int
  let gates: Int
  /// D
  let rows: Int
  let columns: Int

  init(_ shape: ModelShape, stage index: Int) {
    let (kernel, stage) = (shape.slice(.kernel(index)), shape.stage(index))
    gates = stage.cell.rows
    (start, count, rows, columns) = (kernel.offset, gates * stage.heads, stage.headSize, kernel.columns)
  }

  static func all(_ shape: ModelShape) -> [GateMatrices] {
    (0..<shape.stageCount).filter { shape.stage($0).inputs > 0 }.map { GateMatrices(shape, stage: $0) }
  }

  /// Parameters from one row to the next.
  var stride: Int { gates * columns }
  var parameters: Int { count * rows * columns }

  /// Where a matrix begins, behind `start`.
  func offset(_ matrix: Int) -> Int { (matrix / gates * gates * rows + matrix % gates) * columns }
}

/// The orthogonal part of matrices A, (AAᵀ)^−½A roughly: what is left of A = USVᵀ if its singular values S become 1.
///
/// Five rounds of X ← (a + bG + cG²)·X, G = XXᵀ, from X = A/‖A‖, with the coefficients of Jordan et al., "Muon: An optimizer for hidden
/// layers in neural networks" (2024): singular values from 0.002 of the norm on end between 0.7 and 1.2, which serves as well as 1 and
/// takes a third of the rounds. Products only, and of strips whose sizes do not depend on the threads, so that the bits do not
/// either.
final class Orthogonalizer {
  static let coefficients: (a: Float, b: Float, c: Float) = (3.4445, -4.7750, 2.0315)
  /// Odd: they begin in memory of their own, and the last one ends where the matrices came from.
  static let rounds = 5
  /// Rows that one task works out.
  private static let strip = 32

  private let layers: [GateMatrices]
  private let instructions: Instructions
  /// X of every other round, as a layer's parameters lie.
  private let other: Buffer<Float>
  /// [count][D × D] G
  private let gram: Buffer<Float>
  /// [count][D × D] a + bG + cG²
  private let polynomial: Buffer<Float>

  private struct Rooms {
    let other: Room<Float>
    let gram: Room<Float>
    let polynomial: Room<Float>
    let table: MemoryTable

    init(_ layers: [GateMatrices]) {
      let parameters = layers.map(\.parameters).max() ?? 0
      let squares = layers.map { $0.count * $0.rows * $0.rows }.max() ?? 0
      var table = MemoryTable()
      other = table.add(parameters, .optimizer, for: "the matrices of muon's rounds")
      gram = table.add(squares, .optimizer, for: "the Gram matrices of muon's rounds")
      polynomial = table.add(squares, .optimizer, for: "the polynomials of muon's rounds")
      self.table = table
    }
  }

  static func byteCount(for layers: [GateMatrices]) -> Int { Rooms(layers).table.total }

  init(_ layers: [GateMatrices], instructions: Instructions, ledger: MemoryLedger) throws(MemoryError) {
    self.layers = layers
    self.instructions = instructions
    let rooms = Rooms(layers)
    other = try rooms.other.buffer(ledger)
    gram = try rooms.gram.buffer(ledger)
    polynomial = try rooms.polynomial.buffer(ledger)
  }

  /// Replaces all matrices of a parameter vector by their orthogonal parts; 0 stays 0.
  func orthogonalize(_ values: UnsafeMutablePointer<Float>, on pool: ThreadPool) {
    for layer in layers {
      var (from, to) = (other.pointer, values + layer.start)
      normalize(layer, to, into: from, on: pool)
      for _ in 0..<Self.rounds {
        formPolynomials(layer, from, on: pool)
        multiply(layer, from, into: to, on: pool)
        swap(&from, &to)
      }
    }
  }

  private func normalize(
    _ layer: GateMatrices, _ from: UnsafePointer<Float>, into to: UnsafeMutablePointer<Float>,
    on pool: ThreadPool
  ) {
    pool.run(layer.count) { matrix, _ in
      let offset = layer.offset(matrix)
      var square = 0.0
      for row in 0..<layer.rows {
        square += instructions.sumOfSquares(from + offset + row * layer.stride, count: layer.columns)
      }
      // A gradient that has vanished has no directions left.
      let scale = square > 1e-60 ? Float(1 / square.squareRoot()) : 0
      for row in 0..<layer.rows {
        let at = offset + row * layer.stride
        for i in at..<at + layer.columns { to[i] = scale * from[i] }
      }
    }
  }

  private func formPolynomials(_ layer: GateMatrices, _ x: UnsafeMutablePointer<Float>, on pool: ThreadPool) {
    let (n, stride) = (layer.rows, layer.stride)
    pool.run(layer.count * Self.strips(n)) { task, _ in
      let (matrix, first, count) = Self.strip(task, of: n)
      let x = x + layer.offset(matrix)
      GEMM.timesTransposed(
        m: count, n: n, k: layer.columns, x + first * stride, lda: stride, x, ldb: stride,
        into: gram.pointer + (matrix * n + first) * n, ldc: n)
    }
    let (a, b, c) = Self.coefficients
    pool.run(layer.count * Self.strips(n)) { task, _ in
      let (matrix, first, count) = Self.strip(task, of: n)
      let all = gram.pointer + matrix * n * n
      let out = polynomial.pointer + (matrix * n + first) * n
      out.update(from: all + first * n, count: count * n)
      GEMM.times(
        m: count, n: n, k: n, all + first * n, lda: n, all, ldb: n, into: out, ldc: n, scale: c, keep: b)
      for row in 0..<count { out[row * n + first + row] += a }
    }
  }

  private func multiply(
    _ layer: GateMatrices, _ x: UnsafeMutablePointer<Float>, into out: UnsafeMutablePointer<Float>,
    on pool: ThreadPool
  ) {
    let (n, stride) = (layer.rows, layer.stride)
    pool.run(layer.count * Self.strips(n)) { task, _ in
      let (matrix, first, count) = Self.strip(task, of: n)
      let at = layer.offset(matrix)
      GEMM.times(
        m: count, n: layer.columns, k: n, polynomial.pointer + (matrix * n + first) * n, lda: n, x + at,
        ldb: stride, into: out + at + first * stride, ldc: stride)
    }
  }

  private static func strips(_ rows: Int) -> Int { (rows + strip - 1) / strip }

  /// The matrix and the rows of a task.
  private static func strip(_ task: Int, of rows: Int) -> (matrix: Int, first: Int, count: Int) {
    let (matrix, number) = task.quotientAndRemainder(dividingBy: strips(rows))
    return (matrix, number * strip, min(strip, rows - number * strip))
  }
}
