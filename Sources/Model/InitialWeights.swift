import Glibc

/// What initial weights may be told.
public struct Initialization: Equatable, Sendable {
  /// The token table is uniform in ±this (nil: ±1/√D): one-hot inputs are small beside a wide layer's state.
  public var tokenScale: Float?
  /// Units begin by remembering for between 1 and this many tokens (chrono initialization, arXiv 1804.11188): forget biases
  /// are ln of uniform numbers in 1 ..< span, input biases their negatives. nil: as the cell says. For cells with such gates.
  public var memorySpan: Int?

  /// What `Parameters.initialize` does if it is told nothing, and what is named otherwise.
  public init(tokenScale: Float? = nil, memorySpan: Int? = nil) {
    self.tokenScale = tokenScale
    self.memorySpan = memorySpan
  }
}

/// Uniform in ±1/√D (±1/√inputs where rows read no own state, the readout ±1/√H), as is usual for recurrent networks; biases as the cell says, the readout's at 0.
///
/// Any part of a tensor can be made by itself: a weight is a function of the seed, its tensor and its index.
struct InitialWeights {
  private let slices: [TensorSlice]
  private let shape: ModelShape
  private let seed: UInt64
  private let options: Initialization

  init(_ shape: ModelShape, seed: UInt64, _ options: Initialization) {
    self.options = options
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
    case .scalars(let stage):
      let stage = shape.stage(stage)
      for i in 0..<count { out[i * stride] = scalar(stage, from + i) }
    case .bias(let stage):
      let stage = shape.stage(stage)
      for i in 0..<count { out[i * stride] = bias(index, stage, row: from + i) }
    case .table, .kernel, .readout:
      if shape.cell.isWholeModel, tensor != .table || options.tokenScale == nil {
        return fillParts(index, from..<from + count, into: out, stride: stride)
      }
      let fan = tensor.stage.map { shape.stage($0).fan } ?? shape.readoutInputs
      let scale = tensor == .table ? options.tokenScale : nil
      fillUniform(
        index, from..<from + count, scale: scale ?? 1 / Float(fan).squareRoot(), into: out, stride: stride)
    }
  }

  /// Scalar K·u + k is scalar k of unit u.
  private func scalar(_ stage: Stage, _ index: Int) -> Float {
    let (unit, number) = index.quotientAndRemainder(dividingBy: stage.cell.scalars.count)
    return stage.cell.scalars[number].values.value(ofUnit: unit, of: stage.units)
  }

  /// Row G·u + g is row g of unit u.
  private func bias(_ tensor: Int, _ stage: Stage, row: Int) -> Float {
    let cell = stage.cell
    let (unit, gate) = row.quotientAndRemainder(dividingBy: cell.rows)
    guard let span = options.memorySpan, let memory = cell.memory, gate == memory.keep || gate == memory.admit
    else {
      if let spread = cell.spread, spread.row == gate {
        return spread.biases.value(ofUnit: unit, of: stage.units)
      }
      return cell.biases[gate]
    }
    let words = Philox(seed: seed, domain: .initialization, tensor: tensor)
      .block(UInt32(truncatingIfNeeded: unit), 0)
    let time = 1 + Float(words[0] >> 8) * 0x1p-24 * Float(max(0, span - 2))
    return gate == memory.keep ? logf(time) : -logf(time)
  }

  /// Uniform in the Xavier scale of each of the matrices that a tensor is made of.
  private func fillParts(
    _ index: Int, _ range: Range<Int>, into out: UnsafeMutablePointer<Float>, stride: Int
  ) {
    let (parts, width) = (shape.machineParts(slices[index].tensor), slices[index].columns)
    var next = range.lowerBound
    while next < range.upperBound {
      let (row, column) = next.quotientAndRemainder(dividingBy: width)
      let part = parts.first { $0.rows.contains(row) && $0.columns.contains(column) }!
      let end = min(range.upperBound, row * width + part.columns.upperBound)
      fillUniform(
        index, next..<end, scale: part.scale, into: out + (next - range.lowerBound) * stride, stride: stride)
      next = end
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
