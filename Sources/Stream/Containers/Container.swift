import LongzooMemory

/// How the tokens lie in the decoded bytes of a file.
///
/// To add one: a file with a value of this type, and its place in `all`.
struct Container: Sendable {
  /// As `DataConfiguration.format` names it.
  let name: String
  /// The first decoded bytes that `payload` has to see.
  let headBytes: Int
  /// Where the tokens lie, by the first bytes, of which a short file has fewer; nil: it is another container.
  let payload: @Sendable (UnsafeRawBufferPointer) -> Payload?

  /// In the order in which they are asked.
  static let all: [Container] = [.raw]

  /// The file is nothing but tokens.
  static let raw = Container(name: "raw", headBytes: 0) { _ in .whole }
}

extension StreamConfiguration {
  /// The containers that the data may have.
  var allowedContainers: [Container] {
    containers.filter { data.format == .auto || $0.name == data.format.rawValue }
  }

  /// Bytes that tell the container of a file, whichever it is.
  var containerHeadBytes: Int { allowedContainers.reduce(0) { max($0, $1.headBytes) } }

  /// Where the tokens of a file lie.
  /// - Parameter head: its first `containerHeadBytes` decoded bytes, or all that it has.
  /// - Throws: `.badData` for a file that is no such container, or holds tokens of another type than `tokenType`.
  func payload(_ head: UnsafeRawBufferPointer, file: String) throws(StreamError) -> Payload {
    for container in allowedContainers {
      guard let payload = container.payload(head) else { continue }
      if let type = payload.tokenType, type != data.tokenType {
        throw StreamError(
          .badData, "holds \(type.rawValue) tokens, and is read as \(data.tokenType.rawValue)",
          advice: "set \(.tokenType) \(type.rawValue)", file: file)
      }
      if let end = payload.end, end < payload.start || data.tokenType.bytesLeft(of: end - payload.start) != 0
      {
        throw StreamError(
          .badData, "names \(end - payload.start) bytes of tokens, which are no whole ones",
          advice: "make it anew", file: file)
      }
      return payload
    }
    throw StreamError(
      .badData, "is no \(data.format.rawValue) file", advice: "give another \(.format)", file: file)
  }
}
