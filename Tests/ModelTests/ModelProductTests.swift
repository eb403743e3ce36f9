import LongzooMemory
import LongzooTestSupport
import Testing

@testable import LongzooModel

@Suite("Matrix products and sign sums")
struct ModelProductTests {

  private struct Matrix {
    var rows: Int
    var columns: Int
    var stride: Int
    var values: [Float]

    init(_ rows: Int, _ columns: Int, padding: Int, _ random: inout ModelRandom) {
      (self.rows, self.columns, stride) = (rows, columns, columns + padding)
      values = (0..<rows * stride).map { _ in Float(random.unit()) }
    }

    subscript(row: Int, column: Int) -> Double { Double(values[row * stride + column]) }
  }

  static let sizes = [(1, 1, 1), (3, 5, 7), (16, 4, 1), (1, 33, 20), (60, 65, 128), (48, 13, 300)]

  @Test("A·Bᵀ and Aᵀ·B are right for any size and stride, and leave the padding alone", arguments: sizes)
  func products(_ m: Int, _ n: Int, _ k: Int) {
    var random = ModelRandom(UInt64(m * 100 + n))
    for padding in [0, 3] {
      for accumulate in [false, true] {
        for transposed in [false, true] {
          let a =
            transposed ? Matrix(k, m, padding: padding, &random) : Matrix(m, k, padding: padding, &random)
          let b =
            transposed ? Matrix(k, n, padding: padding, &random) : Matrix(n, k, padding: padding, &random)
          var c = Matrix(m, n, padding: padding, &random)
          let before = c
          let product = transposed ? GEMM.transposedTimes : GEMM.timesTransposed
          product(m, n, k, a.values, a.stride, b.values, b.stride, &c.values, c.stride, accumulate)
          for i in 0..<m {
            for j in 0..<c.stride {
              var expected = j < n && !accumulate ? 0 : before[i, j]
              if j < n {
                for l in 0..<k { expected += transposed ? a[l, i] * b[l, j] : a[i, l] * b[j, l] }
              }
              // k + 1 sums of values of at most k in size, each wrong by half an ulp; the padding not at all.
              let tolerance = j < n ? Double(k + 1) * Double(k).squareRoot() * 0x1p-23 : 0
              #expect(abs(c[i, j] - expected) <= tolerance, "\(i), \(j)")
            }
          }
        }
      }
    }
  }

  @Test("Expanded signs are ±coefficient, and 0 where a pair has not seen the row")
  func expand() throws {
    var random = ModelRandom(5)
    let (rows, stride) = (9, 48)
    let words = (0..<rows).map { _ in UInt16(truncatingIfNeeded: random.word()) }
    let seen = (0..<rows).map { _ in UInt16(truncatingIfNeeded: random.word()) }
    let coefficients = try Buffer<Float>(count: 16, .perturbations, for: "a test", ledger: MemoryLedger())
    let out = try Buffer<Float>(count: rows * stride, .perturbations, for: "a test", ledger: MemoryLedger())
    for pair in 0..<16 { coefficients[pair] = Float(random.unit()) }
    for instructions in Instructions.fast {
      for (scaled, masked) in [(false, false), (false, true), (true, false), (true, true)] {
        out.elements.update(repeating: 7)
        seen.withUnsafeBufferPointer { seen in
          instructions.expandSigns(
            words, rows: rows, coefficients: scaled ? coefficients.pointer : nil,
            seen: masked ? seen.baseAddress : nil, into: out.pointer + 16, stride: stride)
        }
        for row in 0..<rows {
          for lane in 0..<stride {
            let pair = lane - 16
            var expected: Float = 7
            if (0..<16).contains(pair) {
              let size = scaled ? coefficients[pair] : 1
              expected = words[row] >> UInt16(pair) & 1 == 1 ? -size : size
              if masked, seen[row] >> UInt16(pair) & 1 == 0 { expected = 0 }
            }
            #expect(out[row * stride + lane] == expected, "\(instructions), row \(row), lane \(lane)")
          }
        }
      }
    }
  }

  @Test("Sums of signs run over the pairs of all tiles")
  func sums() throws {
    var random = ModelRandom(6)
    for (tiles, count) in [(1, 1), (2, 5), (7, 33)] {
      let stride = count + 11
      let words = (0..<tiles * stride).map { _ in UInt16(truncatingIfNeeded: random.word()) }
      let coefficients = try Buffer<Float>(
        count: tiles * 16, .perturbations, for: "a test", ledger: MemoryLedger())
      for pair in 0..<tiles * 16 { coefficients[pair] = Float(random.unit()) }
      for instructions in Instructions.fast {
        var out = Array(repeating: Float(0), count: count)
        instructions.sumSigns(
          words, tileStride: stride, tiles: tiles, count: count, coefficients: coefficients.pointer,
          into: &out)
        for i in 0..<count {
          let expected = (0..<tiles * 16).reduce(0.0) { sum, pair in
            let isNegative = words[pair / 16 * stride + i] >> UInt16(pair % 16) & 1 == 1
            return sum + (isNegative ? -1 : 1) * Double(coefficients[pair])
          }
          // 16 · tiles sums of values below 16 · tiles, in the root-mean-square sense √.
          let n = Double(tiles * 16)
          #expect(abs(Double(out[i]) - expected) <= n * n.squareRoot() * 0x1p-24, "\(instructions)")
        }
      }
    }
  }
}
