import LongzooMemory

/// The settings that errors and warnings of this module name: properties of `StreamConfiguration`.
extension Setting {
  public static let tokenType = Setting("tokenType")
  public static let compression = Setting("compression")
  public static let format = Setting("format")
  public static let targets = Setting("targets")
  public static let vocabularySize = Setting("vocabularySize")
  public static let streams = Setting("streams")
  public static let skipTokens = Setting("skipTokens")
  public static let expectTokens = Setting("expectTokens")
  public static let holdoutFraction = Setting("holdoutFraction")
  public static let zstdWindowLog = Setting("zstdWindowLog")
}
