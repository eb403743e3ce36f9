import LongzooMemory

/// Why tokens cannot be had: what failed, where, and what to do, as one sentence.
///
/// The sentence names settings by the properties of `StreamConfiguration`; `text(naming:mending:)` writes it with the
/// names and the remedies of another program.
public struct StreamError: Error, Equatable, CustomStringConvertible, Sendable {
  /// What a caller may have to tell apart.
  public enum Kind: CaseIterable, Sendable {
    /// The memory budget does not allow it.
    case overBudget
    /// The caller asked for an end while there was nothing to read.
    case interrupted
    /// The configuration cannot be meant so, whatever the data is, or not for data of this kind.
    case invalidConfiguration
    /// The data is damaged, cut off, or not what it was said to be.
    case badData
    /// There is no such file.
    case noSuchFile
    /// The system failed to read or write, or has no more memory to give.
    case inputOutput
  }

  /// For a caller to tell errors apart; the sentence says more.
  public var kind: Kind
  /// The path as it was given, or "standard input".
  public var file: String?
  /// Bytes from the start of the file as it is stored.
  public var compressedOffset: Int?
  /// Tokens from the start of the data, over all files.
  public var tokenIndex: Int?
  /// The step that mends it, if there is one.
  public var remedy: Remedy?
  /// An id is outside of the vocabulary.
  var isOfVocabulary = false
  private var problem: Wording
  private var advice: Wording?

  init(
    _ kind: Kind, _ problem: Wording, remedy: Remedy? = nil, advice: Wording? = nil, file: String? = nil,
    compressedOffset: Int? = nil, tokenIndex: Int? = nil
  ) {
    self.kind = kind
    self.problem = problem
    self.remedy = remedy
    self.advice = advice
    self.file = file
    self.compressedOffset = compressedOffset
    self.tokenIndex = tokenIndex
  }

  /// A reservation that the budget or the system refused.
  init(_ refusal: MemoryError) {
    self.init(refusal.isOfTheSystem ? .inputOutput : .overBudget, refusal.wording)
  }

  /// The sentence, with the names of `StreamConfiguration`'s properties.
  public var description: String { text { $0.rawValue } }

  /// The sentence, with settings under the names that `name` has for them.
  /// - Parameter mend: the text of a remedy; without it the one of `description`.
  public func text(
    naming name: (Setting) -> String, mending mend: ((Remedy) -> String)? = nil
  ) -> String {
    var sentence = problem.text(naming: name)
    if let file { sentence = "\(file): \(sentence)" }
    var places: [String] = []
    if let compressedOffset { places.append("byte \(compressedOffset) of the file") }
    if let tokenIndex { places.append("token \(tokenIndex)") }
    if !places.isEmpty { sentence += " (at " + places.joined(separator: ", ") + ")" }
    if let remedy { sentence += "; " + (mend?(remedy) ?? remedy.text) }
    if let advice { sentence += "; " + advice.text(naming: name) }
    return sentence
  }

  /// The same error, placed at a token; a decoder knows only bytes.
  func at(token index: Int) -> StreamError {
    var error = self
    if error.tokenIndex == nil, kind == .badData || kind == .inputOutput { error.tokenIndex = index }
    return error
  }
}
