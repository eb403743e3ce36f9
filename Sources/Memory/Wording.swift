/// The name of something that a caller can set, such as `vocabularySize`.
///
/// A module declares those of its own configurations, under the names of their properties.
public struct Setting: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  public let rawValue: String

  public init(rawValue: String) { self.rawValue = rawValue }
  public init(_ name: String) { rawValue = name }

  public var description: String { rawValue }
}

/// A sentence that names settings and leaves open how they are written.
///
/// A library does not know whether it is told `vocabularySize: 300` or `--vocab-size 300`. Its errors are written with settings
/// in the place of names, `"\(.vocabularySize) 300 is not from 1 to 256"`: `description` has the property's name, and the
/// command line asks for `text` with the names of its options.
public struct Wording: Hashable, Sendable, ExpressibleByStringInterpolation, CustomStringConvertible {
  fileprivate enum Piece: Hashable, Sendable {
    case text(String)
    case setting(Setting)
  }

  private var pieces: [Piece]

  public init(stringLiteral text: String) { pieces = [.text(text)] }
  public init(_ text: String) { pieces = [.text(text)] }

  public init(stringInterpolation: StringInterpolation) { pieces = stringInterpolation.pieces }

  public struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var pieces: [Piece] = []

    public init(literalCapacity: Int, interpolationCount: Int) {
      pieces.reserveCapacity(2 * interpolationCount + 1)
    }

    public mutating func appendLiteral(_ text: String) { pieces.append(text: text) }
    public mutating func appendInterpolation(_ setting: Setting) { pieces.append(.setting(setting)) }
    public mutating func appendInterpolation(_ wording: Wording) { pieces.append(all: wording.pieces) }

    @_disfavoredOverload
    public mutating func appendInterpolation(_ value: some CustomStringConvertible) {
      pieces.append(text: value.description)
    }
  }

  /// The sentence, with every setting under the name that `name` has for it.
  public func text(naming name: (Setting) -> String) -> String {
    pieces.map { piece in
      switch piece {
      case .text(let text): text
      case .setting(let setting): name(setting)
      }
    }.joined()
  }

  public var description: String { text { $0.rawValue } }

  /// The settings that the sentence names, in its order.
  public var settings: [Setting] {
    pieces.compactMap { if case .setting(let setting) = $0 { setting } else { nil } }
  }

  public static func + (first: Wording, second: Wording) -> Wording {
    var sum = first
    sum.pieces.append(all: second.pieces)
    return sum
  }

  public static func += (first: inout Wording, second: Wording) { first = first + second }
}

/// Sentences are the same if they read the same, however they were put together: no two texts follow each other.
extension [Wording.Piece] {
  fileprivate mutating func append(text: String) {
    if text.isEmpty { return }
    guard case .text(let before) = last else { return append(.text(text)) }
    self[count - 1] = .text(before + text)
  }

  fileprivate mutating func append(all other: [Wording.Piece]) {
    for piece in other {
      if case .text(let text) = piece { append(text: text) } else { append(piece) }
    }
  }
}
