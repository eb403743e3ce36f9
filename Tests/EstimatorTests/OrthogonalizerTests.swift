import Memory
import Model
import TestSupport
import Testing

@testable import Estimator

@Suite("Muon's orthogonal parts")
struct OrthogonalizerTests {
  /// One layer's matrix is tall, two layers' second one less so; with heads there are several, of strips that are not full, and
  /// a second layer's are wide.
  static let shapes = [
    ModelShape(vocabularySize: 3, hiddenSize: 1), ModelShape(vocabularySize: 3, hiddenSize: 37),
    ModelShape(vocabularySize: 5, hiddenSize: 40, layers: 2),
    ModelShape(vocabularySize: 2, hiddenSize: 48, layers: 2, heads: 12),
  ]

  private func orthogonalized(
    _ values: [Float], _ shape: ModelShape, _ instructions: Instructions, threads: Int
  ) throws -> [Float] {
    let ledger = MemoryLedger()
    let orthogonalizer = try Orthogonalizer(
      ParameterRuns.matrices(shape), instructions: instructions, ledger: ledger)
    let buffer = try Buffer<Float>(count: values.count, .optimizer, for: "a test", ledger: ledger)
    for (i, value) in values.enumerated() { buffer[i] = value }
    orthogonalizer.orthogonalize(buffer.pointer, on: ThreadPool(threads: threads))
    return buffer.array
  }

  private func random(_ shape: ModelShape, seed: UInt64, scale: Float = 1) -> [Float] {
    var random = ModelRandom(seed)
    return (0..<shape.parameterCount).map { _ in scale * Float(random.unit()) }
  }

  @Test(
    "They are the polynomial's of the documentation, and nothing else changes", arguments: shapes,
    [1e-12, 1, Float(1e12)])
  func formula(_ shape: ModelShape, scale: Float) throws {
    let values = random(shape, seed: 3, scale: scale)
    var expected = values.map(Double.init)
    for matrix in ParameterRuns.matrices(shape) {
      let range = matrix.start..<matrix.start + matrix.rows * matrix.columns
      let plain = PlainMatrix(rows: matrix.rows, columns: matrix.columns, values: Array(expected[range]))
      expected.replaceSubrange(range, with: plain.orthogonalPart.values)
    }
    for instructions in Instructions.allCases where instructions.isSupported {
      let found = try orthogonalized(values, shape, instructions, threads: 2)
      // A rounding of the first round may grow by a⁵ = 485; sums are of up to 4H products of numbers below 1.
      let tolerance = 485 * Double(4 * shape.hiddenSize) * 0x1p-24
      let matrices = ParameterRuns.matrices(shape)
      let inside = matrices[0].start..<matrices.last!.start + matrices.last!.rows * matrices.last!.columns
      for i in 0..<values.count where !inside.contains(i) { #expect(found[i] == values[i]) }
      let worst = inside.filter { i in
        matrices.contains { ($0.start..<$0.start + $0.rows * $0.columns).contains(i) }
      }
      .map { abs(Double(found[$0]) - expected[$0]) }.max()!
      #expect(worst < tolerance, "\(instructions): \(worst) of \(tolerance)")
    }
  }

  @Test("Singular values from 1 to 0.01 all become 0.65 to 1.25, and vectors stay")
  func singularValues() throws {
    // A = Σ s_k·u_k·v_kᵀ with u, v out of Walsh's functions, which are orthogonal.
    let shape = ModelShape(vocabularySize: 2, hiddenSize: 16)
    func walsh(_ row: Int, _ k: Int, of size: Int) -> Double {
      ((row & k).nonzeroBitCount % 2 == 0 ? 1 : -1) / Double(size).squareRoot()
    }
    let start = ParameterRuns.matrices(shape)[0].start
    var values = [Float](repeating: 0, count: shape.parameterCount)
    for row in 0..<64 {
      for column in 0..<16 {
        let sum = (0..<16).reduce(0.0) { sum, k in
          let size = k == 0 ? 1 : 0.01 + 0.06 * Double(k)
          return sum + size * walsh(row, k + 20, of: 64) * walsh(column, k, of: 16)
        }
        values[start + row * 16 + column] = Float(sum)
      }
    }
    let found = try orthogonalized(values, shape, .best, threads: 1)
    for j in 0..<16 {
      for k in 0..<16 {
        var value = 0.0
        for row in 0..<64 {
          for column in 0..<16 {
            value +=
              walsh(row, j + 20, of: 64) * Double(found[start + row * 16 + column]) * walsh(column, k, of: 16)
          }
        }
        #expect(j == k ? (0.65...1.25).contains(value) : abs(value) < 1e-3, "\(j), \(k): \(value)")
      }
    }
  }

  @Test("Nothing stays nothing, and the bits do not depend on the threads", arguments: shapes)
  func zeroAndThreads(_ shape: ModelShape) throws {
    let zero = [Float](repeating: 0, count: shape.parameterCount)
    #expect(try orthogonalized(zero, shape, .best, threads: 2) == zero)
    let values = random(shape, seed: 9)
    let single = try orthogonalized(values, shape, .best, threads: 1)
    for threads in [2, 3] {
      #expect(
        try orthogonalized(values, shape, .best, threads: threads).map(\.bitPattern)
          == single.map(\.bitPattern))
    }
  }

  @Test("Matrices move along the orthogonal part of their mean gradient, looked ahead", arguments: shapes)
  func updates(_ shape: ModelShape) throws {
    let ledger = MemoryLedger()
    let pool = ThreadPool(threads: 2)
    let parameters = try Parameters(shape, ledger: ledger)
    parameters.initialize(seed: 4)
    let gradient = try Buffer<Float>(
      count: shape.parameterCount, .perturbations, for: "a test", ledger: ledger)
    let (rate, decay, beta) = (0.03, 0.2, 0.75)
    let optimizer = try Optimizer(
      shape, .init(kind: .muon, momentum: Float(beta), weightDecay: Float(decay), tableRate: 3),
      ledger: ledger)
    var means = [Double](repeating: 0, count: shape.parameterCount)
    for update in 0..<3 {
      let values = random(shape, seed: UInt64(20 + update))
      for (i, value) in values.enumerated() { gradient[i] = value }
      let before = parameters.values.array
      optimizer.update(parameters, gradient: gradient, rate: Float(rate), on: pool)
      for matrix in ParameterRuns.matrices(shape) {
        let range = matrix.start..<matrix.start + matrix.rows * matrix.columns
        for i in range { means[i] = beta * means[i] + (1 - beta) * Double(values[i]) }
        let ahead = PlainMatrix(
          rows: matrix.rows, columns: matrix.columns,
          values: range.map { beta * means[$0] + (1 - beta) * Double(values[$0]) })
        let direction = ahead.orthogonalPart.values
        let scale = max(1, Double(matrix.rows) / Double(matrix.columns)).squareRoot()
        for (i, u) in zip(range, direction) {
          let expected = (1 - rate * decay) * Double(before[i]) - rate * scale * u
          let tolerance =
            rate * scale * 485 * Double(4 * shape.hiddenSize) * 0x1p-24 + abs(expected) * 0x1p-22
          #expect(abs(Double(parameters.values[i]) - expected) <= tolerance)
        }
      }
    }
  }
}

/// Products as they are defined, in double.
private struct PlainMatrix {
  var rows: Int
  var columns: Int
  var values: [Double]

  subscript(row: Int, column: Int) -> Double { values[row * columns + column] }

  var transposed: PlainMatrix {
    PlainMatrix(
      rows: columns, columns: rows,
      values: (0..<columns).flatMap { column in (0..<rows).map { self[$0, column] } })
  }

  func times(_ other: PlainMatrix) -> PlainMatrix {
    PlainMatrix(
      rows: rows, columns: other.columns,
      values: (0..<rows).flatMap { row in
        (0..<other.columns).map { column in
          (0..<columns).reduce(0.0) { $0 + self[row, $1] * other[$1, column] }
        }
      })
  }

  func combined(_ factor: Double, _ other: PlainMatrix, _ otherFactor: Double) -> PlainMatrix {
    PlainMatrix(
      rows: rows, columns: columns, values: zip(values, other.values).map { factor * $0 + otherFactor * $1 })
  }

  /// Five rounds of aX + bXG + cXG², G = XᵀX.
  var orthogonalPart: PlainMatrix {
    if rows < columns { return transposed.orthogonalPart.transposed }
    let norm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
    var x = PlainMatrix(rows: rows, columns: columns, values: values.map { $0 / norm })
    for _ in 0..<5 {
      let gram = x.transposed.times(x)
      let (first, second) = (x.times(gram), x.times(gram).times(gram))
      x = x.combined(3.4445, first, -4.7750).combined(1, second, 2.0315)
    }
    return x
  }
}
