import Memory
import Model

/// The orthogonal part of matrices, A(AᵀA)^−½ roughly: what is left of A = USVᵀ if its singular values S become 1.
///
/// Five rounds of X ← X·(a + bG + cG²), G = XᵀX, from X = A/‖A‖ (of the transpose where A is wide), with the coefficients of
/// Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024): singular values from 0.002 of the norm on end between 0.7
/// and 1.2, which serves as well as 1 and takes a third of the rounds. Products only, and of strips whose sizes do not depend on
/// the threads, so that the bits do not either.
final class Orthogonalizer {
  static let coefficients: (a: Float, b: Float, c: Float) = (3.4445, -4.7750, 2.0315)
  /// Odd: the last round ends where the first matrix came from.
  static let rounds = 5
  /// Rows that one task works out, of G and of a matrix's longer side.
  private static let gramStrip = 32
  private static let matrixStrip = 128

  private let matrices: [ParameterRuns.Matrix]
  private let instructions: Instructions
  /// [rows × columns] X of every other round.
  private let other: Buffer<Float>
  /// [n × n] G, n the shorter side.
  private let gram: Buffer<Float>
  /// [n × n] a + bG + cG²
  private let polynomial: Buffer<Float>

  private static func room(_ matrices: [ParameterRuns.Matrix]) -> (matrix: Int, gram: Int) {
    (
      matrices.map { $0.rows * $0.columns }.max() ?? 0,
      matrices.map { min($0.rows, $0.columns) }.max().map { $0 * $0 } ?? 0
    )
  }

  static func byteCount(for matrices: [ParameterRuns.Matrix]) -> Int {
    let room = room(matrices)
    return Buffer<Float>.byteCount(for: room.matrix) + 2 * Buffer<Float>.byteCount(for: room.gram)
  }

  init(_ matrices: [ParameterRuns.Matrix], instructions: Instructions, ledger: MemoryLedger)
    throws(MemoryError)
  {
    self.matrices = matrices
    self.instructions = instructions
    let room = Self.room(matrices)
    other = try Buffer(count: room.matrix, .optimizer, for: "a matrix of muon's rounds", ledger: ledger)
    gram = try Buffer(count: room.gram, .optimizer, for: "a Gram matrix of muon's rounds", ledger: ledger)
    polynomial = try Buffer(
      count: room.gram, .optimizer, for: "a polynomial of muon's rounds", ledger: ledger)
  }

  /// Replaces all matrices of a parameter vector by their orthogonal parts; 0 stays 0.
  func orthogonalize(_ values: UnsafeMutablePointer<Float>, on pool: ThreadPool) {
    for matrix in matrices { orthogonalize(matrix, values + matrix.start, on: pool) }
  }

  private func orthogonalize(
    _ m: ParameterRuns.Matrix, _ values: UnsafeMutablePointer<Float>, on pool: ThreadPool
  ) {
    let count = m.rows * m.columns
    let norm = instructions.sumOfSquares(values, count: count).squareRoot()
    // A gradient that has vanished has no directions left.
    guard norm > 1e-30 else { return }
    let scale = Float(1 / norm)
    var (from, to) = (other.pointer, values)
    for i in 0..<count { from[i] = scale * values[i] }
    for _ in 0..<Self.rounds {
      multiplyBySelf(m, from, on: pool)
      formPolynomial(min(m.rows, m.columns), on: pool)
      multiplyByPolynomial(m, from, into: to, on: pool)
      swap(&from, &to)
    }
  }

  /// G = XᵀX, or XXᵀ of a wide X.
  private func multiplyBySelf(
    _ m: ParameterRuns.Matrix, _ x: UnsafeMutablePointer<Float>, on pool: ThreadPool
  ) {
    let n = min(m.rows, m.columns)
    pool.run(Self.strips(Self.gramStrip, of: n)) { task, _ in
      let (first, count) = Self.strip(task, Self.gramStrip, of: n)
      let out = gram.pointer + first * n
      if m.rows > m.columns {
        GEMM.transposedTimes(
          m: count, n: n, k: m.rows, x + first, lda: m.columns, x, ldb: m.columns, into: out, ldc: n)
      } else {
        GEMM.timesTransposed(
          m: count, n: n, k: m.columns, x + first * m.columns, lda: m.columns, x, ldb: m.columns, into: out,
          ldc: n)
      }
    }
  }

  private func formPolynomial(_ n: Int, on pool: ThreadPool) {
    let (a, b, c) = Self.coefficients
    pool.run(Self.strips(Self.gramStrip, of: n)) { task, _ in
      let (first, count) = Self.strip(task, Self.gramStrip, of: n)
      let (g, out) = (gram.pointer + first * n, polynomial.pointer + first * n)
      out.update(from: g, count: count * n)
      GEMM.times(
        m: count, n: n, k: n, g, lda: n, gram.pointer, ldb: n, into: out, ldc: n, scale: c, keep: b)
      for row in 0..<count { out[row * n + first + row] += a }
    }
  }

  private func multiplyByPolynomial(
    _ m: ParameterRuns.Matrix, _ x: UnsafeMutablePointer<Float>, into out: UnsafeMutablePointer<Float>,
    on pool: ThreadPool
  ) {
    let isTall = m.rows > m.columns
    let size = isTall ? Self.matrixStrip : Self.gramStrip
    pool.run(Self.strips(size, of: m.rows)) { task, _ in
      let (first, count) = Self.strip(task, size, of: m.rows)
      let (at, n) = (first * m.columns, min(m.rows, m.columns))
      if isTall {
        GEMM.times(
          m: count, n: n, k: n, x + at, lda: n, polynomial.pointer, ldb: n, into: out + at, ldc: n)
      } else {
        GEMM.times(
          m: count, n: m.columns, k: n, polynomial.pointer + first * n, lda: n, x, ldb: m.columns,
          into: out + at, ldc: m.columns)
      }
    }
  }

  /// Rows of one task.
  private static func strip(_ task: Int, _ size: Int, of rows: Int) -> (first: Int, count: Int) {
    (task * size, min(size, rows - task * size))
  }

  private static func strips(_ size: Int, of rows: Int) -> Int { (rows + size - 1) / size }
}
