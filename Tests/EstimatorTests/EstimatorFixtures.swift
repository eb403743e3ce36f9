import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

/// For long values: a failing #expect would print all of them.
func expectSame<T: Equatable>(
  _ a: T, _ b: T, _ comment: @autoclosure () -> String = "they differ",
  at location: SourceLocation = #_sourceLocation
) {
  if a != b { Issue.record(Comment(rawValue: comment()), sourceLocation: location) }
}

extension Buffer {
  /// A copy. `elements` itself must not be the last use of what owns a buffer: it does not keep it alive.
  var array: [Element] { Array(elements) }
}

extension DirectionKind {
  /// Every kind, and sums of products that fill no register evenly.
  static let allCases: [DirectionKind] = [.rank1, .products(3), .rademacher, .gaussian]
}

extension Layout {
  var signMap: ModelSignMap {
    ModelSignMap(
      model: shape.reference, isDense: kind == .rademacher, rank: kind.rank, exactReadout: exactReadout,
      gateStride: gateStride,
      table: signs(.table), kernels: (0..<shape.layers).map { signs(.kernel($0)) },
      biases: (0..<shape.layers).map { signs(.bias($0)).rows }, readout: signs(.readout),
      readoutBias: signs(.readoutBias).rows, name: kind == .gaussian ? nameWords : nil)
  }
}

extension ModelShape {
  var reference: ReferenceLSTM {
    ReferenceLSTM(vocabulary: vocabularySize, hidden: hiddenSize, layers: layers, heads: heads)
  }

  func isReadout(_ parameter: Int) -> Bool { parameter >= slice(.readout).offset }
}

/// A direction kind with and without the exact readout.
struct EstimatorMode: Sendable, CustomTestStringConvertible {
  var kind: DirectionKind
  var exact: Bool

  static let all = DirectionKind.allCases.flatMap { kind in
    [false, true].map { EstimatorMode(kind: kind, exact: $0) }
  }
  /// Those of which a tile can hold two sets of directions.
  static let sideBySide = all.filter { $0.kind != .gaussian }
  var testDescription: String { "\(kind), \(exact ? "exact" : "zo") readout" }
}
