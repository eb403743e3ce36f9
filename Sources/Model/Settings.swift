import LongzooMemory

/// The settings that this module's errors name.
extension Setting {
  static let threads = Setting("threads")
  static let vocabularySize = Setting("vocabularySize")
}
