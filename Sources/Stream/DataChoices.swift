/// How a token is stored: an unsigned little-endian integer of one, two or four bytes.
public enum TokenType: String, CaseIterable, Codable, Sendable {
  /// Bytes, as of text.
  case u8
  /// Ids below 65 536.
  case u16
  case u32

  /// Bytes a token.
  public var width: Int {
    switch self {
    case .u8: 1
    case .u16: 2
    case .u32: 4
    }
  }

  /// The number of ids that the type can name; the highest bit may be a mark instead.
  public func range(_ targets: TargetChoice) -> Int { 1 << (8 * width - (targets == .marked ? 1 : 0)) }
}

/// Which tokens are to be predicted.
public enum TargetChoice: String, CaseIterable, Codable, Sendable {
  /// Every token but the first.
  case all
  /// Those tokens whose highest stored bit is not set. The other bits are the id.
  case marked
}

/// What the user says about compression: a codec, or `auto`.
public struct CompressionChoice: RawRepresentable, CaseIterable, Hashable, Codable, Sendable {
  /// `auto`, or the name of a codec.
  public let rawValue: String

  /// - Returns: nil for a name that is no codec's.
  public init?(rawValue: String) {
    guard rawValue == "auto" || Codec.named(rawValue) != nil else { return nil }
    self.rawValue = rawValue
  }

  private init(_ codec: Codec) { rawValue = codec.name }
  private init() { rawValue = "auto" }

  /// The first bytes tell, and the end of the name, as in `.zst` or `.lz4`.
  public static let auto = CompressionChoice()
  /// The stored bytes are the data.
  public static let none = CompressionChoice(.plain)
  /// Frames of zstd, whatever the file is called.
  public static let zstd = CompressionChoice(.zstd)
  /// Frames of lz4, whatever the file is called.
  public static let lz4 = CompressionChoice(.lz4)

  /// `auto`, and every codec.
  public static let allCases = [auto] + Codec.all.map { CompressionChoice($0) }

  /// nil for `auto`.
  var codec: Codec? { Codec.named(rawValue) }
}

/// What the user says about how tokens lie in a file: a container, or `auto`.
public struct FormatChoice: RawRepresentable, CaseIterable, Hashable, Codable, Sendable {
  /// `auto`, or the name of a container.
  public let rawValue: String

  /// - Returns: nil for a name that is no container's.
  public init?(rawValue: String) {
    guard rawValue == "auto" || Container.all.contains(where: { $0.name == rawValue }) else { return nil }
    self.rawValue = rawValue
  }

  private init(_ container: Container) { rawValue = container.name }
  private init() { rawValue = "auto" }

  /// The first bytes tell, and files of a known format that holds no tokens are refused.
  public static let auto = FormatChoice()
  /// The bytes are tokens, whatever they look like.
  public static let raw = FormatChoice(.raw)

  /// `auto`, and every container.
  public static let allCases = [auto] + Container.all.map { FormatChoice($0) }
}
