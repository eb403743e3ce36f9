/// Uniform in ±1/√D (the readout ±1/√H), as is usual for LSTMs; forget gates start open (bias 1), the readout's bias at 0.
/// The token table may have a scale of its own: one-hot inputs are small beside a wide layer's state.
///
/// Any part of a tensor can be made by itself: a weight is a function of the seed, its tensor and its index.
struct InitialWeights {
  private let slices: [TensorSlice]
  private let shape: ModelShape
  private let seed: UInt64
  private let tokenScale: Float?

  init(_ shape: ModelShape, seed: UInt64, tokenScale: Float?) {
    self.tokenScale = tokenScale
    self.shape = shape
    self.seed = seed
    slices = shape.tensors
  }

  /// Elements from ..< from + count of a tensor (by its place in `ModelShape.tensors`), `stride` floats apart.
  func fill(tensor index: Int, from: Int, count: Int, into out: UnsafeMutablePointer<Float>, stride: Int) {
    let tensor = slices[index].tensor
    switch tensor {
    case .readoutBias:
      for i in 0..<count { out[i * stride] = 0 }
    case .bias:
      for i in 0..<count { out[i * stride] = (from + i) % 4 == 1 ? 1 : 0 }
    case .table, .kernel, .readout:
      let fan = tensor == .readout ? shape.hiddenSize : shape.headSize
      let scale = tensor == .table ? tokenScale : nil
      fillUniform(
        index, from..<from + count, scale: scale ?? 1 / Float(fan).squareRoot(), into: out, stride: stride)
    }
  }

  private func fillUniform(
    _ index: Int, _ range: Range<Int>, scale: Float, into out: UnsafeMutablePointer<Float>, stride: Int
  ) {
    let uniform = Philox(seed: seed, domain: .initialization, tensor: index)
    var next = range.lowerBound
    var to = out
    while next < range.upperBound {
      let block = next / 4
      let words = uniform.block(UInt32(truncatingIfNeeded: block), UInt32(truncatingIfNeeded: block >> 32))
      for lane in next % 4..<min(4, range.upperBound - 4 * block) {
        to.pointee = scale * (Float(words[lane] >> 8) * 0x1p-23 - 1)
        to += stride
      }
      next = 4 * (block + 1)
    }
  }
}
