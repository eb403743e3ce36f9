/// The families that there are.
extension EstimatorFamily {
  /// In the order in which they are listed. A new family is a line here.
  public static let all: [EstimatorFamily] = [
    .cdRGE, .fdRGE, .jvp, .nres, .pes, .node, .bptt, .tbptt, .hybrid,
  ]

  /// The family that is taken where nobody names one.
  public static var standard: EstimatorFamily { .cdRGE }

  /// nil if there is none of that name.
  public init?(named name: String) {
    guard let family = Self.all.first(where: { $0.name == name }) else { return nil }
    self = family
  }
}

extension EstimatorFamily: Hashable {
  public static func == (a: EstimatorFamily, b: EstimatorFamily) -> Bool { a.name == b.name }
  public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

extension EstimatorFamily: CustomStringConvertible {
  public var description: String { name }
}

/// Coded as its name.
extension EstimatorFamily: Codable {
  /// - Throws: `DecodingError`, if there is no estimator of the coded name.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let name = try container.decode(String.self)
    guard let family = EstimatorFamily(named: name) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "there is no estimator \(name)")
    }
    self = family
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(name)
  }
}
