import Foundation
import LongzooMemory

/// The door for everything that is decoded from a file: what is no number where one belongs, and what no run can have written, ends with exit
/// code 65, the file's name and the field's, before anything is reserved or counted with it.
package struct DecodedFields {
  /// The most of anything that is counted: far beyond what a run comes to, and far from where a sum overflows.
  package static let most = 1 << 53

  package let file: String

  /// - Throws: exit code 65, with the field that is missing or of another kind.
  package func decode<T: Decodable>(_ type: T.Type, from json: Data) throws(RunFailure) -> T {
    do {
      return try JSONDecoder().decode(type, from: json)
    } catch {
      throw failure(Wording(Self.finding(error)))
    }
  }

  /// A number that is counted with.
  package func count(
    _ value: Int?, _ field: String, in range: ClosedRange<Int> = 0...Self.most
  ) throws(RunFailure) {
    guard let value, !range.contains(value) else { return }
    throw failure("\(field) is \(value), not from \(range.lowerBound) to \(range.upperBound)")
  }

  /// A number that is calculated with, in floats too.
  package func finite(_ value: Double?, _ field: String, atLeast least: Double? = nil) throws(RunFailure) {
    guard let value else { return }
    if let least {
      try require(
        Float(value).isFinite && value >= least, "\(field) is \(value), no number of at least \(least)")
    } else {
      try require(Float(value).isFinite, "\(field) is \(value), too large for a number of 32 bits")
    }
  }

  package func require(_ isSound: Bool, _ finding: @autoclosure () -> Wording) throws(RunFailure) {
    if !isSound { throw failure(finding()) }
  }

  package func failure(_ finding: Wording) -> RunFailure {
    .badData("\(file): \(finding); the file is damaged, or of another version of longzoo")
  }

  /// What a decoder has to say, as the middle of a sentence.
  private static func finding(_ error: any Error) -> String {
    guard let error = error as? DecodingError else { return "what it says of its run cannot be read" }
    switch error {
    case .keyNotFound(let key, let context): return "\(name(context.codingPath + [key])) is missing"
    case .valueNotFound(_, let context): return "\(name(context.codingPath)) is null"
    case .typeMismatch(_, let context), .dataCorrupted(let context):
      return context.codingPath.isEmpty
        ? "what it says of its run is no JSON" : "\(name(context.codingPath)) is no value that belongs there"
    @unknown default: return "what it says of its run cannot be read"
    }
  }

  /// `configuration.window.tokens`: the value of a case is without a name of its own.
  private static func name(_ path: [any CodingKey]) -> String {
    path.map { $0.intValue.map { "\($0)" } ?? $0.stringValue }.filter { $0 != "_0" }.joined(separator: ".")
  }
}
