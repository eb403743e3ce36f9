import LongzooMemory

/// The settings that errors and warnings of this module name, each of them a property of `StreamConfiguration`.
extension Setting {
  /// How a token is stored.
  public static let tokenType = Setting("tokenType")
  /// How files are packed.
  public static let compression = Setting("compression")
  /// How tokens lie in a file.
  public static let format = Setting("format")
  /// Which tokens are to be predicted.
  public static let targets = Setting("targets")
  /// The number of ids.
  public static let vocabularySize = Setting("vocabularySize")
  /// Positions of the data that are read in parallel.
  public static let streams = Setting("streams")
  /// Tokens at the start that are left out.
  public static let skipTokens = Setting("skipTokens")
  /// The number of tokens that the data must have.
  public static let expectTokens = Setting("expectTokens")
  /// The part of the tokens that is held out of training.
  public static let holdoutFraction = Setting("holdoutFraction")
  /// The largest zstd window, as a power of two.
  public static let zstdWindowLog = Setting("zstdWindowLog")
}
