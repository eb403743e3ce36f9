import Foundation
import LongzooMemory

/// Why a run could not begin, or could not go on: what is wrong, where, and what to do, as one sentence.
public struct RunFailure: Error, Equatable, CustomStringConvertible, LocalizedError {
  public enum Kind: Sendable {
    /// Settings that contradict each other or the data.
    case usage
    /// A file whose content is not what it should be.
    case badData
    /// A file that is not there or cannot be opened for reading.
    case missingInput
    /// A read, a write, memory or a thread that the system refused.
    case inputOutput
  }

  public let kind: Kind
  public let wording: Wording
  /// A table below the sentence.
  public var details: String?

  public var description: String { wording.description }
  public var errorDescription: String? { description }

  package static func usage(_ wording: Wording, details: String? = nil) -> RunFailure {
    RunFailure(kind: .usage, wording: wording, details: details)
  }

  package static func badData(_ wording: Wording) -> RunFailure {
    RunFailure(kind: .badData, wording: wording)
  }

  package static func missingInput(_ wording: Wording) -> RunFailure {
    RunFailure(kind: .missingInput, wording: wording)
  }

  package static func inputOutput(_ wording: Wording) -> RunFailure {
    RunFailure(kind: .inputOutput, wording: wording)
  }

  /// From an `errno`: `cannot write model.safetensors: the disk is full`.
  package static func system(_ action: String, _ path: String, errno code: Int32) -> RunFailure {
    .inputOutput("cannot \(action) \(path): \(reason(code))")
  }

  /// An `errno` in words.
  package static func reason(_ code: Int32) -> String {
    switch code {
    case ENOSPC: return "the disk is full"
    case EDQUOT: return "the disk quota is used up"
    case EROFS: return "the file system is read-only"
    case EFBIG: return "the file would be larger than the system allows"
    default:
      let text = String(cString: strerror(code))
      return text.prefix(1).lowercased() + text.dropFirst()
    }
  }
}
