import CLongzooKernels
import LongzooMemory
import LongzooTestSupport
import Testing

@testable import LongzooModel

/// Products of samples with a packed matrix, against sums in double.
@Suite("Products of samples")
struct SampleProductTests {
  /// Outputs, terms, samples: on both sides of the vectors, the panels and what the registers hold.
  private static let sizes = [
    (1, 1, 1), (3, 5, 2), (16, 7, 6), (17, 1, 13), (30, 33, 5), (33, 12, 12), (47, 64, 25), (128, 3, 37),
    (65, 200, 7),
  ]

  @Test("They are sums over the terms, in pieces as at once", arguments: sizes.indices)
  func products(_ index: Int) throws {
    let (outputs, terms, samples) = Self.sizes[index]
    let (padded, step, xStep) = ((outputs + 15) / 16 * 16, (outputs + 15) / 16 * 16 + 16, terms + 3)
    var random = ModelRandom(UInt64(index) + 1)
    // Columns of a wider matrix, turned over in every second case.
    let wider = terms + 2
    let isTurned = index % 2 == 1
    let w = (0..<outputs * wider).map { _ in Float(random.unit()) }
    let (outputStep, termStep) = isTurned ? (1, outputs) : (wider, 1)
    let x = (0..<samples * xStep).map { _ in Float(random.unit()) }
    let before = (0..<samples * step).map { _ in Float(random.unit()) }
    let ledger = MemoryLedger()
    for instructions in Instructions.allCases where instructions != .reference && instructions.isSupported {
      for adds in [false, true] {
        let packed = try Buffer<Float>(count: padded * terms, .parameters, for: "a matrix", ledger: ledger)
        let out = try Buffer<Float>(count: samples * step, .activations, for: "products", ledger: ledger)
        for (i, value) in before.enumerated() { out[i] = value }
        for piece in 0..<3 {
          lz_pack_product(
            instructions.code, w, outputs, outputStep, padded, terms, termStep, packed.pointer, piece, 3)
        }
        let half = samples / 2
        for range in [0..<half, half..<samples] {
          lz_multiply_samples(
            instructions.code, packed.pointer, padded, terms,
            x.withUnsafeBufferPointer { $0.baseAddress! + range.lowerBound * xStep },
            xStep, range.count, adds ? 1 : 0, out.pointer + range.lowerBound * step, step)
        }
        for sample in 0..<samples {
          for output in 0..<step {
            let old = before[sample * step + output]
            var sum = adds || output >= padded ? Double(old) : 0
            for k in 0..<terms where output < outputs {
              sum += Double(x[sample * xStep + k]) * Double(w[output * outputStep + k * termStep])
            }
            // A rounding for each term, of numbers below terms + 1.
            let bound = Double(terms + 1) * Double(terms + 1) * 0x1p-24
            #expect(
              abs(Double(out[sample * step + output]) - sum) <= bound, "\(instructions), \(sample), \(output)"
            )
          }
        }
      }
    }
  }
}
