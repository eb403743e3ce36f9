import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

@Suite("BPTT: clipping, and numbers that are none")
struct BPTTRefusalTests {
  @Test("a long gradient is scaled to the norm that is allowed, a short one is left alone")
  func clipping() throws {
    let model = try BPTTCase(vocabulary: 8, hidden: 9, streams: 2, tokens: 20)
    let free = try model.estimator()
    let norm = model.window(free).gradientNorm
    let short = try model.estimator(clip: Float(2 * norm))
    _ = model.window(short)
    #expect(short.bits == free.bits)
    let clipped = try model.estimator(clip: Float(norm / 3))
    #expect(model.window(clipped).gradientNorm == norm)
    let after = clipped.gradient.elements.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    #expect(abs(after - norm / 3) < 1e-6 * norm)
    for i in 0..<free.gradient.count {
      #expect(abs(clipped.gradient[i] - free.gradient[i] / 3) <= 1e-6 * abs(free.gradient[i]))
    }
  }

  @Test(
    "NaN and infinity anywhere in the model are reported, with every kernel",
    arguments: fastInstructions, [Float.nan, Float.infinity])
  func notFinite(instructions: Instructions, value: Float) throws {
    let shape = ModelShape(vocabularySize: 21, hiddenSize: 18, layers: 2)
    for slice in shape.tensors {
      let model = try BPTTCase(vocabulary: 21, hidden: 18, layers: 2, streams: 2, tokens: 18)
      let bptt = try model.estimator(clip: 1, instructions: instructions)
      // A row of the table counts only if its token occurs.
      let row = slice.tensor == .table ? Int(model.rows[1][3]) : slice.rows - 1
      let at = slice.offset + row * slice.columns + slice.columns - 1
      let before = model.parameters.values[at]
      model.parameters.values[at] = value
      let result = model.window(bptt)
      // A gate driven to infinity is only shut or open: that is a finite loss, and rightly so.
      if value.isNaN || slice.tensor.isReadout {
        #expect(!result.isFinite && !result.hasGradient, "\(slice.tensor)")
      } else {
        let isFinite = result.loss.isFinite && bptt.gradient.elements.allSatisfy { $0.isFinite }
        #expect(result.isFinite == isFinite, "\(slice.tensor)")
      }
      #expect(bptt.states.elements.allSatisfy { $0.isFinite }, "\(slice.tensor)")
      model.parameters.values[at] = before
      #expect(model.window(bptt).isFinite, "the next window, \(slice.tensor)")
    }
  }
}
