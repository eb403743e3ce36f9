import LongzooMemory
import LongzooTestSupport
import Testing

@testable import LongzooModel

@Suite("Packed weights")
struct ModelPackingTests {
  static let shapes =
    [
      (1, 1, 1), (2, 1, 2), (11, 2, 1), (12, 3, 2), (13, 4, 3), (25, 16, 1), (40, 17, 2), (300, 50, 1),
    ]
    .map { ModelShape(vocabularySize: $0.0, hiddenSize: $0.1, layers: $0.2) } + [
      ModelShape(vocabularySize: 5, hiddenSize: 6, layers: 2, heads: 2),
      ModelShape(vocabularySize: 14, hiddenSize: 20, layers: 3, heads: 5),
      ModelShape(vocabularySize: 30, hiddenSize: 102, heads: 2),
    ]

  /// Gate rows begin anew at a whole block for every head.
  private static func packed(_ row: Int, _ shape: ModelShape) -> Int {
    let gates = 4 * shape.headSize
    return row / gates * ((gates + 11) / 12 * 12) + row % gates
  }

  @Test(
    "Every weight lies where the layout says, and padding is zero or the lowest number", arguments: shapes)
  func places(_ shape: ModelShape) throws {
    let layout = Layout(shape, kind: .rank1, exactReadout: false)
    let model = try RandomModel(layout, seed: 1)
    var expected = Array(repeating: Float(0), count: layout.c.pointee.weights)
    func put(_ slice: TensorSlice, at offset: Int, _ place: (Int) -> Int) {
      for row in 0..<slice.rows {
        let at = place(row)
        for k in 0..<slice.columns {
          expected[offset + (at / 12 * slice.columns + k) * 12 + at % 12] =
            model.parameters.values[slice.offset + row * slice.columns + k]
        }
      }
    }
    let (table, bias) = (shape.slice(.table), shape.slice(.bias(0)))
    for token in 0..<shape.vocabularySize {
      for row in 0..<4 * shape.hiddenSize {
        expected[layout.c.pointee.w_table + token * layout.gateStride + Self.packed(row, shape)] =
          model.parameters.values[table.offset + token * table.columns + row]
          + model.parameters.values[bias.offset + row]
      }
    }
    for layer in 0..<shape.layers {
      put(shape.slice(.kernel(layer)), at: layout.kernel(layer)) { Self.packed($0, shape) }
      guard layer > 0 else { continue }
      for i in 0..<4 * shape.hiddenSize {
        expected[layout.bias(layer) + Self.packed(i, shape)] =
          model.parameters.values[shape.slice(.bias(layer)).offset + i]
      }
    }
    put(shape.slice(.readout), at: layout.c.pointee.w_readout) { $0 }
    for v in 0..<layout.c.pointee.readout_blocks * 12 {
      expected[layout.c.pointee.w_readout_bias + v] =
        v < shape.vocabularySize
        ? model.parameters.values[shape.slice(.readoutBias).offset + v] : -Float.greatestFiniteMagnitude
    }
    expectSame(model.weights.values.array, expected)
  }

  @Test("Packing again with more threads gives the same, and takes over every change", arguments: shapes)
  func again(_ shape: ModelShape) throws {
    let layout = Layout(shape, kind: .rademacher, exactReadout: true)
    let first = try RandomModel(layout, seed: 1)
    let second = try RandomModel(layout, seed: 2)
    second.parameters.values.pointer.update(
      from: first.parameters.values.pointer, count: shape.parameterCount)
    second.weights.pack(second.parameters, on: try ThreadPool(threads: 3))
    expectSame(first.weights.values.array, second.weights.values.array)
  }

  @Test("The tensors cover the parameter vector without gaps", arguments: shapes)
  func slices(_ shape: ModelShape) {
    var next = 0
    for slice in shape.tensors {
      #expect(slice.offset == next)
      next = slice.range.upperBound
    }
    #expect(next == shape.parameterCount && next == shape.reference.parameterCount)
    for layer in 0..<shape.layers {
      #expect(shape.slice(.kernel(layer)).offset == shape.reference.kernel(layer))
      #expect(shape.slice(.bias(layer)).offset == shape.reference.bias(layer))
    }
  }
}
