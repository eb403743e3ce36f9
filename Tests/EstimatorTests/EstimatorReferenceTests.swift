import LongzooTestSupport
import Testing

/// The yardsticks themselves.
@Suite("The reference gradient")
struct EstimatorReferenceTests {
  static let models = [(2, 1, 1, 1), (5, 3, 1, 1), (4, 2, 2, 1), (6, 3, 3, 1), (3, 4, 2, 2), (4, 6, 2, 3)]

  @Test("Exact back-propagation equals central differences of the loss", arguments: models)
  func backPropagation(_ vocabulary: Int, _ hidden: Int, _ layers: Int, _ heads: Int) {
    let model = ReferenceLSTM(vocabulary: vocabulary, hidden: hidden, layers: layers, heads: heads)
    var random = ModelRandom(UInt64(vocabulary))
    let theta = (0..<model.parameterCount).map { _ in random.unit() }
    let tokens = random.tokens(8, vocabulary: vocabulary).map(Int.init)
    var state = model.zeroState
    _ = model.losses(theta, [0, 1, 1, 0], state: &state)
    for counted in [0..<7, 4..<7] {
      let gradient = model.gradient(theta, tokens, from: state, counted: counted)
      for i in 0..<theta.count {
        var unit = Array(repeating: 0.0, count: theta.count)
        unit[i] = 1
        let difference = centralDifference(
          { model.loss($0, tokens, from: state, counted: counted) }, at: theta, along: unit, epsilon: 1e-4)
        #expect(abs(difference - gradient[i]) < 1e-6, "parameter \(i) of \(theta.count)")
      }
    }
  }

  @Test("Central differences of a quadratic are exact for any ε", arguments: [1e-3, 1, 100])
  func quadratic(epsilon: Double) {
    var random = ModelRandom(3)
    let n = 9
    let a = (0..<n).map { _ in (0..<n).map { _ in random.unit() } }
    let b = (0..<n).map { _ in random.unit() }
    let theta = (0..<n).map { _ in random.unit() }
    let f = { (x: [Double]) in dot(b, x) + dot(x, a.map { dot($0, x) }) / 2 }
    let gradient = (0..<n).map { (i: Int) -> Double in
      let row = (0..<n).map { (a[i][$0] + a[$0][i]) / 2 }
      return b[i] + dot(row, theta)
    }
    for _ in 0..<20 {
      let z = (0..<n).map { _ in random.unit() < 0 ? -1.0 : 1 }
      let difference = centralDifference(f, at: theta, along: z, epsilon: epsilon)
      // Cancellation: the values are of size n²·(1 + ε)², and each of the n² sums rounds.
      let size = Double(n * n) * (1 + epsilon) * (1 + epsilon) / epsilon
      #expect(abs(difference - dot(gradient, z)) < size * Double(n) * 0x1p-52)
    }
  }
}
