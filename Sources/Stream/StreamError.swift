import LongzooMemory

/// Why tokens cannot be had: what failed, where, and what to do, as one sentence.
public struct StreamError: Error, Equatable, CustomStringConvertible, Sendable {
  /// The kind of failure; the raw value is the exit code of the program.
  public enum Code: Int32, Sendable {
    /// The memory budget does not allow it.
    case memory = 1
    /// The caller asked for an end while there was nothing to read.
    case interrupted = 2
    /// The options cannot be meant so.
    case usage = 64
    /// The data is damaged, cut off, or not what it was said to be.
    case badData = 65
    /// There is no such file.
    case missing = 66
    /// The system failed to read or write.
    case io = 74
  }

  public var code: Code
  /// The path as it was given, or "standard input".
  public var file: String?
  /// Bytes from the start of the file as it is stored.
  public var compressedOffset: Int?
  /// Tokens from the start of the data, over all files.
  public var tokenIndex: Int?
  private var text: String
  private var advice: String?

  init(
    _ code: Code, _ text: String, advice: String? = nil, file: String? = nil, compressedOffset: Int? = nil,
    tokenIndex: Int? = nil
  ) {
    self.code = code
    self.text = text
    self.advice = advice
    self.file = file
    self.compressedOffset = compressedOffset
    self.tokenIndex = tokenIndex
  }

  /// A reservation that the budget or the system refused.
  init(_ refusal: MemoryError) {
    self.init(refusal.isOfTheSystem ? .io : .memory, refusal.description)
  }

  public var exitCode: Int32 { code.rawValue }

  public var description: String {
    var sentence = file.map { "\($0): \(text)" } ?? text
    var places: [String] = []
    if let compressedOffset { places.append("byte \(compressedOffset) of the file") }
    if let tokenIndex { places.append("token \(tokenIndex)") }
    if !places.isEmpty { sentence += " (at " + places.joined(separator: ", ") + ")" }
    if let advice { sentence += "; " + advice }
    return sentence
  }

  /// The same error, placed at a token; a decoder knows only bytes.
  func at(token index: Int) -> StreamError {
    var error = self
    if error.tokenIndex == nil, code == .badData || code == .io { error.tokenIndex = index }
    return error
  }
}
