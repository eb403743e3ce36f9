import Glibc
import LongzooMemory
import Testing

@testable import LongzooModel

@Suite("Initialization")
struct ModelInitializationTests {
  static let shape = ModelShape(vocabularySize: 101, hiddenSize: 25, layers: 2)

  private func parameters(seed: UInt64) throws -> Parameters {
    let parameters = try Parameters(Self.shape, ledger: MemoryLedger())
    parameters.initialize(seed: seed)
    return parameters
  }

  @Test("Matrices are uniform in ±1/√H")
  func matrices() throws {
    let parameters = try parameters(seed: 5)
    let bound = 1 / Double(Self.shape.hiddenSize).squareRoot()
    for tensor in [Tensor.table, .kernel(0), .kernel(1), .readout] {
      let slice = Self.shape.slice(tensor)
      let values = slice.range.map { Double(parameters.values[$0]) / bound }
      let n = Double(values.count)
      let mean = values.reduce(0, +) / n
      let square = values.reduce(0) { $0 + $1 * $1 } / n
      #expect(values.allSatisfy { abs($0) <= 1 })
      // Five standard errors: of the mean √(1/3n), of the mean square √(4/45n).
      #expect(abs(mean) < 5 * (1 / (3 * n)).squareRoot(), "\(tensor)")
      #expect(abs(square - 1 / 3) < 5 * (4 / (45 * n)).squareRoot(), "\(tensor)")
      for part in 0..<8 {
        let low = -1 + Double(part) / 4
        let share = Double(values.count { $0 >= low && $0 < low + 0.25 }) / n
        #expect(abs(share - 0.125) < 5 * (0.125 * 0.875 / n).squareRoot(), "\(tensor), part \(part)")
      }
    }
  }

  @Test(
    "A memory span spreads the biases of what keeps a state", arguments: Cell.all.filter { $0.memory != nil })
  func memorySpans(_ cell: Cell) throws {
    let shape = ModelShape(vocabularySize: 3, hiddenSize: 400, cell: cell)
    let parameters = try Parameters(shape, ledger: MemoryLedger())
    parameters.initialize(seed: 5, Initialization(memorySpan: 101))
    let biases = parameters.read(.bias(shape.stage(ofLayer: 0)))
    let memory = try #require(cell.memory)
    var times: [Double] = []
    for unit in 0..<400 {
      for row in 0..<cell.rows {
        let bias = biases[cell.rows * unit + row]
        switch row {
        case memory.keep: times.append(exp(Double(bias)))
        case memory.admit:
          if let keep = memory.keep {
            #expect(bias == -biases[cell.rows * unit + keep])
          } else {
            times.append(exp(-Double(bias)))
          }
        default: #expect(bias == cell.biases[row])
        }
      }
    }
    // Uniform in 1 ..< 100: five standard errors of the mean of 400.
    #expect(times.allSatisfy { $0 > 0.999 && $0 < 100.001 })
    let mean = times.reduce(0, +) / 400
    let error: Double = 99 / (12.0 * 400).squareRoot()
    #expect(abs(mean - 50.5) < 5 * error, "\(mean)")
  }

  @Test("Forget gates begin open, all other biases at zero")
  func biases() throws {
    let parameters = try parameters(seed: 5)
    for layer in 0..<2 {
      let slice = Self.shape.slice(.bias(layer))
      for i in 0..<slice.count { #expect(parameters.values[slice.offset + i] == (i % 4 == 1 ? 1 : 0)) }
    }
    #expect(Self.shape.slice(.readoutBias).range.allSatisfy { parameters.values[$0] == 0 })
  }

  @Test("The same seed gives the same bits, another one and another tensor others")
  func seeds() throws {
    let (a, b, c) = (try parameters(seed: 5), try parameters(seed: 5), try parameters(seed: 6))
    expectSame(a.values.array, b.values.array)
    let table = Self.shape.slice(.table)
    let same = table.range.count { a.values[$0] == c.values[$0] }
    #expect(same < 5)
    let (kernel, readout) = (Self.shape.slice(.kernel(0)), Self.shape.slice(.readout))
    let shared = (0..<100).count { a.values[kernel.offset + $0] == a.values[readout.offset + $0] }
    #expect(shared < 5)
  }
}
