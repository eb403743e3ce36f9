import LongzooMemory

/// The settings that this module's errors name.
extension Setting {
  /// Of a `ThreadPool`.
  static let threads = Setting("threads")
  static let vocabularySize = Setting("vocabularySize")
}
