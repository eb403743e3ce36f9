import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

@Suite("Muon's orthogonal parts")
struct OrthogonalizerTests {
  /// Square matrices, and a second layer's, which are wide; strips that are not full; heads.
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
      GateMatrices.all(shape), instructions: instructions, ledger: ledger)
    let buffer = try Buffer<Float>(count: values.count, .optimizer, for: "a test", ledger: ledger)
    for (i, value) in values.enumerated() { buffer[i] = value }
    orthogonalizer.orthogonalize(buffer.pointer, on: try ThreadPool(threads: threads))
    return buffer.array
  }

  /// The parameters of every gate's and head's matrix, row by row.
  private func matrices(_ shape: ModelShape) -> [(columns: Int, parameters: [Int])] {
    (0..<shape.layers).flatMap { layer in
      let kernel = shape.slice(.kernel(layer))
      return (0..<4 * shape.heads).map { matrix in
        let (head, gate) = matrix.quotientAndRemainder(dividingBy: 4)
        let units = head * shape.headSize..<(head + 1) * shape.headSize
        let parameters = units.flatMap { unit in
          (0..<kernel.columns).map { kernel.offset + (4 * unit + gate) * kernel.columns + $0 }
        }
        return (kernel.columns, parameters)
      }
    }
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
    for (columns, parameters) in matrices(shape) {
      let plain = PlainMatrix(columns: columns, values: parameters.map { expected[$0] })
      for (i, value) in zip(parameters, plain.orthogonalPart.values) { expected[i] = value }
    }
    for instructions in Instructions.allCases where instructions.isSupported {
      let found = try orthogonalized(values, shape, instructions, threads: 2)
      // A rounding of the first round may grow by a⁵ = 485; sums are of up to 2H products of numbers below 1.
      let tolerance = 485 * Double(2 * shape.hiddenSize) * 0x1p-24
      for i in 0..<values.count {
        let inside = shape.tensors.contains {
          if case .kernel = $0.tensor { $0.range.contains(i) } else { false }
        }
        #expect(
          inside ? abs(Double(found[i]) - expected[i]) < tolerance : found[i] == values[i],
          "\(instructions), \(i)")
      }
    }
  }

  @Test("Singular values from 1 to 0.01 all become 0.65 to 1.25, and vectors stay")
  func singularValues() throws {
    // A = Σ s_k·u_k·v_kᵀ with u, v out of Walsh's functions, which are orthogonal.
    let shape = ModelShape(vocabularySize: 2, hiddenSize: 16)
    func walsh(_ row: Int, _ k: Int) -> Double { (row & k).nonzeroBitCount % 2 == 0 ? 0.25 : -0.25 }
    let parameters = matrices(shape)[2].parameters
    var values = [Float](repeating: 0, count: shape.parameterCount)
    for row in 0..<16 {
      for column in 0..<16 {
        let sum = (0..<16).reduce(0.0) { sum, k in
          let size = k == 0 ? 1 : 0.01 + 0.06 * Double(k)
          return sum + size * walsh(row, (k + 5) % 16) * walsh(column, k)
        }
        values[parameters[row * 16 + column]] = Float(sum)
      }
    }
    let found = try orthogonalized(values, shape, .best, threads: 1)
    for j in 0..<16 {
      for k in 0..<16 {
        var value = 0.0
        for row in 0..<16 {
          for column in 0..<16 {
            value +=
              walsh(row, (j + 5) % 16) * Double(found[parameters[row * 16 + column]]) * walsh(column, k)
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
    let pool = try ThreadPool(threads: 2)
    let parameters = try Parameters(shape, ledger: ledger)
    parameters.initialize(seed: 4)
    let gradient = try Buffer<Float>(
      count: shape.parameterCount, .perturbations, for: "a test", ledger: ledger)
    let (rate, decay, beta) = (0.03, 0.2, 0.75)
    let optimizer = try Optimizer(
      shape, .init(kind: .muon, momentum: beta, weightDecay: decay, tableRate: 3),
      ledger: ledger)
    var means = [Double](repeating: 0, count: shape.parameterCount)
    for update in 0..<3 {
      let values = random(shape, seed: UInt64(20 + update))
      for (i, value) in values.enumerated() { gradient[i] = value }
      let before = parameters.values.array
      optimizer.update(parameters, gradient: gradient, rate: Float(rate), on: pool)
      for (columns, matrix) in matrices(shape) {
        for i in matrix { means[i] = beta * means[i] + (1 - beta) * Double(values[i]) }
        let ahead = PlainMatrix(
          columns: columns, values: matrix.map { beta * means[$0] + (1 - beta) * Double(values[$0]) })
        for (i, u) in zip(matrix, ahead.orthogonalPart.values) {
          let expected = (1 - rate * decay) * Double(before[i]) - rate * u
          let tolerance = rate * 485 * Double(2 * shape.hiddenSize) * 0x1p-24 + abs(expected) * 0x1p-22
          #expect(abs(Double(parameters.values[i]) - expected) <= tolerance)
        }
      }
    }
  }
}

/// Products as they are defined, in double.
private struct PlainMatrix {
  var columns: Int
  var values: [Double]
  var rows: Int { values.count / columns }

  subscript(row: Int, column: Int) -> Double { values[row * columns + column] }

  var transposed: PlainMatrix {
    PlainMatrix(
      columns: rows,
      values: (0..<columns).flatMap { column in (0..<rows).map { self[$0, column] } })
  }

  func times(_ other: PlainMatrix) -> PlainMatrix {
    PlainMatrix(
      columns: other.columns,
      values: (0..<rows).flatMap { row in
        (0..<other.columns).map { column in
          (0..<columns).reduce(0.0) { $0 + self[row, $1] * other[$1, column] }
        }
      })
  }

  func combined(_ factor: Double, _ other: PlainMatrix, _ otherFactor: Double) -> PlainMatrix {
    PlainMatrix(
      columns: columns, values: zip(values, other.values).map { factor * $0 + otherFactor * $1 })
  }

  /// Five rounds of aX + bGX + cG²X, G = XXᵀ.
  var orthogonalPart: PlainMatrix {
    let norm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
    var x = PlainMatrix(columns: columns, values: values.map { $0 / norm })
    for _ in 0..<5 {
      let gram = x.times(x.transposed)
      let (first, second) = (gram.times(x), gram.times(gram).times(x))
      x = x.combined(3.4445, first, -4.7750).combined(1, second, 2.0315)
    }
    return x
  }
}
