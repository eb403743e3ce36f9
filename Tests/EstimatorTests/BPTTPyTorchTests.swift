import Glibc
import LongzooMemory
import LongzooModel
import Testing

@testable import LongzooEstimator

/// The gradient of a model whose parameters and tokens follow a formula, by PyTorch's autograd.
struct PyTorchFixture {
  var vocabulary: Int
  var hidden: Int
  var layers: Int
  var streams: Int
  var tokens: Int
  var loss: Double
  var gradient: [Double]
}

@Suite("BPTT: PyTorch")
struct BPTTPyTorchTests {
  @Test("loss and gradient agree with PyTorch's", arguments: pyTorchFixtures.indices)
  func agrees(index: Int) throws {
    let f = pyTorchFixtures[index]
    let shape = ModelShape(vocabularySize: f.vocabulary, hiddenSize: f.hidden, layers: f.layers)
    let parameters = try Parameters(shape, ledger: MemoryLedger())
    for i in 0..<shape.parameterCount { parameters.values[i] = Float(sin(Double(i + 1)) / 2) }
    let tokens = (0..<f.streams).flatMap { b in
      (0...f.tokens).map { t in UInt32((7 * t * t + 3 * b + t) % f.vocabulary) }
    }
    let bptt = try BPTT(
      shape, .init(streams: f.streams, window: f.tokens), pool: try ThreadPool(threads: 1),
      ledger: MemoryLedger()
    )
    bptt.take(parameters)
    bptt.beginWindow(0)
    bptt.consume(tokens, stride: f.tokens + 1, count: f.tokens)
    #expect(abs(bptt.finishWindow(tokens: f.tokens).loss - f.loss) < 1e-6)
    #expect(bptt.relativeError(f.gradient) < 2e-6)
  }
}
